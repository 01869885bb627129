import type { Redis } from 'ioredis';
import { InvalidationChannel, type InvalidationLimits, type InvalidationListener } from './invalidation-channel.js';
import { isCluster, type RedisClient } from './redis-client.js';

/**
 * How this process learns of changes. `live`: it receives every change. `announced`: this server can't or may not
 * track, but the processes of this cache announce their own changes to each other. `none`: not even that. `lost`: for
 * now it receives nothing.
 */
export type InvalidationState = 'live' | 'announced' | 'lost' | 'none';

/** The masters of a cluster, as the connection sees them. */
export interface Masters {
  /**
   * Whether no master is down. A master that is down may have no connection, and then its missing channel would go
   * unnoticed.
   */
  readonly allNodesUp: boolean;
  /** The connection to the master that holds this key; `undefined` when it is not known. */
  sourceOf(key: string): Redis | undefined;
}

type GroupListener = Omit<InvalidationListener, 'onRefused' | 'onDoubt' | 'onDoubtEnded'> & {
  /** {@link InvalidationGroup.isFullyTracked} may have changed. */
  onTrust?(): void;
};

/**
 * The invalidation channels of one client: one for a single server, one per master in a cluster. The group is live only
 * while all of them are; meanwhile {@link tracksChanges} says whether one key is covered. New and removed masters are
 * looked for at each heartbeat.
 */
export class InvalidationGroup {
  private client: RedisClient | undefined;
  private readonly channels = new Map<Redis, InvalidationChannel>();
  /** Whether this process receives every change on every master. A field, because each hit reads it. */
  isFullyTracked = false;
  private lastState: InvalidationState = 'lost';
  /** Whether the server refused tracking at the last attempt: then this process must announce its own changes. */
  private mustAnnounce = false;
  private isClosed = false;
  private readonly waiters = new Set<() => void>();

  constructor(
    private readonly limits: InvalidationLimits,
    private readonly listener: GroupListener,
    private readonly masters: Masters = { allNodesUp: true, sourceOf: () => undefined },
  ) {}

  /** Whether this process receives every change of this key, although changes of other keys may be missed. */
  tracksChanges(key: string): boolean {
    if (this.isFullyTracked) {
      return true;
    }
    const source = this.masters.sourceOf(key);
    return source !== undefined && this.channels.get(source)?.isLive === true;
  }

  get state(): InvalidationState {
    const channels = [...this.channels.values()];
    if (channels.some((channel) => channel.isUnsupported)) {
      return channels.every((channel) => channel.isArmed || channel.receivesAnnouncements) ? 'announced' : 'none';
    }
    const areArmed = channels.length > 0 && channels.every((channel) => channel.isArmed);
    return areArmed && this.masters.allNodesUp ? 'live' : 'lost';
  }

  /**
   * Checks the age of each channel's proof; to be called before a local copy is trusted. See
   * {@link InvalidationChannel.checkHeartbeat}.
   */
  checkHeartbeats(): void {
    for (const channel of this.channels.values()) {
      channel.checkHeartbeat();
    }
  }

  /** Why changes are not received, or not all of them; `undefined` while they are, and while nothing has failed yet. */
  get lostReason(): string | undefined {
    const problems = [...this.channels.values()].map(({ problem }) => problem);
    return [...new Set(problems)].filter((problem) => problem !== undefined).join('; ') || undefined;
  }

  /** Opens the missing channels of this client and waits until they are live, at most `deadlineMs`. Never rejects. */
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

  /** Whether this process must announce its changes to other processes, because the server can't track. */
  get announces(): boolean {
    return this.mustAnnounce;
  }

  /** The announcement of a change by this process: the topic and the messages; no messages when the server tracks. */
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
    this.updateState();
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
      onTrackingUp: () => this.updateState(),
      onTrackingLost: () => this.updateState(),
      onDoubt: () => this.updateTrust(),
      onDoubtEnded: () => this.updateTrust(),
      onRefused: () => {
        this.mustAnnounce = true;
        this.updateState();
        this.release();
      },
    });
    this.channels.set(source, channel);
    channel.open();
    if (source.status === 'wait') {
      source.connect().catch(() => {}); // a cluster connects to a node when it first needs it
    }
  }

  /** Reports a change of the common state of all channels to the listener. */
  private updateState(): void {
    const { state, lastState } = this;
    if (state === lastState || this.isClosed) {
      return;
    }
    this.lastState = state;
    this.updateTrust();
    if (state === 'live') {
      this.mustAnnounce = false;
    }
    if (receivesChanges(state)) {
      this.listener.onTrackingUp();
      this.release();
    } else if (receivesChanges(lastState)) {
      this.listener.onTrackingLost();
    }
  }

  private updateTrust(): void {
    this.isFullyTracked = this.state === 'live' && [...this.channels.values()].every((channel) => channel.isLive);
    this.listener.onTrust?.();
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

function receivesChanges(state: InvalidationState): boolean {
  return state === 'live' || state === 'announced';
}
