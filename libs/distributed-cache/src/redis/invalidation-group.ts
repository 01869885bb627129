import type { Redis } from 'ioredis';
import { InvalidationChannel } from './invalidation-channel.js';
import type { InvalidationLimits, InvalidationListener } from './invalidation-contract.js';
import { isCluster, type RedisClient } from './redis-client.js';

/**
 * `live`: every change is heard of. `announced`: this server can't or may not tell, but the processes of this cache tell each
 * other of their own. `none`: not even that. `lost`: for now nothing is heard of.
 */
export type InvalidationState = 'live' | 'announced' | 'lost' | 'none';

/** The masters of a cluster, as the connection judges them. */
export interface Masters {
  /** A master that is down may have no connection, and so no channel that would be missed. */
  readonly areAllUp: boolean;
  /** The connection to the master that has this key; `undefined` where it is not known. */
  sourceOf(key: string): Redis | undefined;
}

/**
 * The channels of one client: one for a single server, one a master in a cluster. Live only while all of them are; meanwhile
 * {@link hears} tells for one key. Masters that come and go are looked for at each heartbeat.
 */
export class InvalidationGroup {
  private client: RedisClient | undefined;
  private readonly channels = new Map<Redis, InvalidationChannel>();
  private wasLive = false;
  private lastState: InvalidationState = 'lost';
  /** Whether the server did not want to track when it was asked last: then others hear of our changes only from us. */
  private mustAnnounce = false;
  private isClosed = false;
  private readonly waiters = new Set<() => void>();

  constructor(
    private readonly limits: InvalidationLimits,
    private readonly listener: Omit<InvalidationListener, 'onRefused' | 'onDoubt' | 'onDoubtEnded'>,
    private readonly masters: Masters = { areAllUp: true, sourceOf: () => undefined },
  ) {}

  /** Whether every change on every master is heard of. */
  get isLive(): boolean {
    return this.wasLive;
  }

  /** Whether every change of this key is heard of, although those of others may be missed. */
  hears(key: string): boolean {
    if (this.wasLive) {
      return true;
    }
    const source = this.masters.sourceOf(key);
    return source !== undefined && this.channels.get(source)?.isLive === true;
  }

  get state(): InvalidationState {
    const channels = [...this.channels.values()];
    if (channels.some((channel) => channel.isUnsupported)) {
      return channels.every((channel) => channel.isArmed || channel.hearsAnnouncements) ? 'announced' : 'none';
    }
    const areArmed = channels.length > 0 && channels.every((channel) => channel.isArmed);
    return areArmed && this.masters.areAllUp ? 'live' : 'lost';
  }

  /** To be called before a copy is trusted: see {@link InvalidationChannel.distrustOverdue}. */
  distrustOverdue(): void {
    for (const channel of this.channels.values()) {
      channel.distrustOverdue();
    }
  }

  /** Why changes are not, or not all, heard of; `undefined` while they are, and while nothing has failed yet. */
  get lostReason(): string | undefined {
    const problems = [...this.channels.values()].map(({ problem }) => problem);
    return [...new Set(problems)].filter((problem) => problem !== undefined).join('; ') || undefined;
  }

  /** Opens what is missing for this client and waits until its channels are live, at most `deadlineMs`. Never rejects. */
  async open(client: RedisClient): Promise<void> {
    this.client = client;
    this.refresh();
    if (this.state !== 'lost' || this.isClosed) {
      return;
    }
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, this.limits.deadlineMs);
      timer.unref();
      this.waiters.add(done);
    });
  }

  /** Whether others have to be told of our changes, because the server can't. */
  get announces(): boolean {
    return this.mustAnnounce;
  }

  /** What others are to be told of a change of ours, and where; nothing where the server tells them. */
  announcementOf(keys: readonly string[]): { readonly topic: string; readonly messages: readonly string[] } {
    const { announcements } = this.limits;
    return { topic: announcements.topic, messages: this.mustAnnounce ? announcements.messagesOf(keys) : NO_MESSAGES };
  }

  /** Follows the masters of a cluster: opens channels to new ones and closes those of the ones that are gone. */
  refresh(): void {
    const { client } = this;
    if (client === undefined || this.isClosed) {
      return;
    }
    const sources = new Set(isCluster(client) ? client.nodes('master') : [client]);
    for (const [source, channel] of this.channels) {
      if (!sources.has(source)) {
        this.channels.delete(source);
        channel.close();
      }
    }
    for (const source of sources) {
      if (!this.channels.has(source)) {
        this.add(source);
      }
    }
    this.judge();
  }

  close(): void {
    this.isClosed = true;
    for (const channel of this.channels.values()) {
      channel.close();
    }
    this.channels.clear();
    this.release();
  }

  private add(source: Redis): void {
    const channel = new InvalidationChannel(source, this.limits, {
      onChanged: (keys) => this.listener.onChanged(keys),
      onLive: () => this.judge(),
      onLost: () => this.judge(),
      onDoubt: () => this.updateTrust(),
      onDoubtEnded: () => this.updateTrust(),
      onRefused: () => {
        this.mustAnnounce = true;
        this.judge();
        this.release();
      },
    });
    this.channels.set(source, channel);
    channel.open();
    if (source.status === 'wait') {
      source.connect().catch(() => {}); // a cluster connects to its nodes as it needs them
    }
  }

  /** Tells the listener what has changed for all channels together. */
  private judge(): void {
    const { state, lastState } = this;
    if (state === lastState || this.isClosed) {
      return;
    }
    this.lastState = state;
    this.updateTrust();
    if (state === 'live') {
      this.mustAnnounce = false;
    }
    if (isHearing(state)) {
      this.listener.onLive();
      this.release();
    } else if (isHearing(lastState)) {
      this.listener.onLost();
    }
  }

  private updateTrust(): void {
    this.wasLive = this.state === 'live' && [...this.channels.values()].every((channel) => channel.isLive);
  }

  private release(): void {
    const waiters = [...this.waiters];
    this.waiters.clear();
    for (const done of waiters) {
      done();
    }
  }
}

const NO_MESSAGES: readonly string[] = Object.freeze([]);

function isHearing(state: InvalidationState): boolean {
  return state === 'live' || state === 'announced';
}
