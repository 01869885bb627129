import type { Redis } from 'ioredis';
import {
  InvalidationChannel,
  type InvalidationLimits,
  type InvalidationListener,
  type InvalidationState,
  isRefused,
  receivesChanges,
} from './invalidation-channel.js';
import type { Home } from './home/home.js';
import { isCluster, type RedisClient } from './redis-client.js';

/** The masters of a cluster, as the connection sees them. */
export interface Masters {
  /**
   * Whether no master is down. A master that is down may have no connection, and then its missing channel would go
   * unnoticed.
   */
  readonly areAllConnected: boolean;
  /** The connection to the master that holds this key; `undefined` when it is not known. */
  sourceOf(key: string): Redis | undefined;
  /** Absent when this process reads and listens at the masters. */
  readonly home?: Home | undefined;
}

type GroupListener = Omit<InvalidationListener, 'onChanged' | 'onRefused' | 'onDoubt' | 'onDoubtEnded'> & {
  /** As for one channel. @param isOfReplica whether a replica has sent the message: it reports own changes as well */
  onChanged(keys: readonly string[] | undefined, isOfReplica: boolean): void;
  /** {@link InvalidationGroup.isFullyTracked} may have changed. */
  onTrust?(): void;
};

/**
 * The invalidation channels of one client: one for a single server, or for its replica that is the home of this process;
 * one per master in a cluster. A replica on trial has a channel that does not count yet. The group is live only
 * while all of them are; meanwhile {@link tracksChanges} says whether one key is covered. New and removed masters are
 * looked for at each heartbeat.
 */
export class InvalidationGroup {
  private client: RedisClient | undefined;
  private readonly channels = new Map<Redis, InvalidationChannel>();
  /** The channels that count: all but that of a replica on trial. */
  private inUse: readonly InvalidationChannel[] = [];
  /** Whether this process receives every change on every master. A field, because each hit reads it. */
  isFullyTracked = false;
  private lastState: InvalidationState = 'lost';
  /** Whether the server refused tracking at the last attempt: then this process must announce its own changes. */
  announces = false;
  private isClosed = false;
  private readonly waiters = new Set<() => void>();

  constructor(
    private readonly limits: InvalidationLimits,
    private readonly listener: GroupListener,
    private readonly masters: Masters = { areAllConnected: true, sourceOf: () => undefined },
  ) {}

  /** Whether this process receives every change of this key, although changes of other keys may be missed. */
  tracksChanges(key: string): boolean {
    if (this.isFullyTracked) {
      return true;
    }
    const source = this.masters.home?.sourceInUse ?? this.masters.sourceOf(key);
    return source !== undefined && this.channels.get(source)?.isLive === true;
  }

  /** The state of all channels together: that of the one that receives least. */
  get state(): InvalidationState {
    const states = this.inUse.map(({ state }) => state);
    if (states.some(isRefused)) {
      return states.every(receivesChanges) ? 'announced' : 'none';
    }
    return states.length > 0 && states.every(receivesChanges) && this.masters.areAllConnected ? 'live' : 'lost';
  }

  /** Whether this process receives the changes of others, from the server or by announcements. */
  get receivesChanges(): boolean {
    return receivesChanges(this.state);
  }

  /**
   * Checks the age of each channel's proof; to be called before a local copy is trusted. See
   * {@link InvalidationChannel.checkHeartbeat}.
   */
  checkHeartbeats(): void {
    this.masters.home?.checkAge();
    for (const channel of this.channels.values()) {
      channel.checkHeartbeat();
    }
  }

  /** Why changes are not received, or not all of them; `undefined` while they are, and while nothing has failed yet. */
  get lostReason(): string | undefined {
    const problems = this.inUse.map(({ problem }) => problem);
    return [...new Set(problems)].filter((problem) => problem !== undefined).join('; ') || undefined;
  }

  /**
   * Opens the missing channels of this client, which has just answered, and waits until they are live, at most
   * `deadlineMs`. Never rejects.
   */
  async open(client: RedisClient): Promise<void> {
    this.client = client;
    this.refresh();
    this.hurry();
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

  /** The announcement of a change by this process: the topic and the messages; no messages when the server tracks. */
  announcementOf(keys: readonly string[]): { readonly topic: string; readonly messages: readonly string[] } {
    const { announcements } = this.limits;
    return { topic: announcements.topic, messages: this.announces ? announcements.messagesOf(keys) : NO_MESSAGES };
  }

  /** Listens to the topics on which processes ask each other. Never rejects. @returns whether one channel does */
  async listenAside(): Promise<boolean> {
    const outcomes = await Promise.all(this.inUse.map((channel) => channel.path.listenAside()));
    return outcomes.includes(true);
  }

  /** The channel at this server; `undefined` when there is none. */
  channelAt(source: Redis): InvalidationChannel | undefined {
    return this.channels.get(source);
  }

  /**
   * Follows the masters of a cluster, and the home: opens channels to new ones and closes those of the ones that are gone.
   */
  refresh(): void {
    const { client } = this;
    if (client === undefined || this.isClosed) {
      return;
    }
    const { inUse, onTrial } = this.sourcesOf(client);
    const sources = new Set(onTrial === undefined ? inUse : [...inUse, onTrial]);
    for (const source of sources) {
      if (!this.channels.has(source)) {
        this.add(source);
      }
    }
    this.inUse = inUse.flatMap((source) => this.channels.get(source) ?? []); // before the end of a channel is noticed
    for (const [source, channel] of this.channels) {
      if (!sources.has(source)) {
        this.channels.delete(source);
        channel.close();
      }
    }
    this.updateState();
    this.updateTrust();
  }

  /** Connects the subscribers that wait for their next attempt now: their servers have just answered. */
  hurry(): void {
    this.channels.forEach((channel) => channel.hurry());
  }

  close(): void {
    this.isClosed = true;
    this.masters.home?.close();
    for (const channel of this.channels.values()) {
      channel.close();
    }
    this.channels.clear();
    this.release();
  }

  private sourcesOf(client: RedisClient): { readonly inUse: readonly Redis[]; readonly onTrial?: Redis | undefined } {
    if (isCluster(client)) {
      return { inUse: client.nodes('master') };
    }
    const { inUse, onTrial } = this.masters.home?.sourcesBeside(client) ?? { inUse: client, onTrial: undefined };
    return { inUse: [inUse], onTrial };
  }

  private add(source: Redis): void {
    const onChange = (): void => {
      this.updateState();
      this.masters.home?.check();
    };
    const channel = new InvalidationChannel(source, this.limits, {
      onChanged: (keys) => {
        this.masters.home?.onMessage();
        this.listener.onChanged(keys, this.masters.home?.server?.source === source);
      },
      onTrackingUp: onChange,
      onTrackingLost: onChange,
      onDoubt: () => this.updateTrust(),
      onDoubtEnded: () => this.updateTrust(),
      onRefused: () => {
        if (this.inUse.includes(channel)) {
          this.announces = true;
        }
        onChange();
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
      this.announces = false;
    }
    if (receivesChanges(state)) {
      this.listener.onTrackingUp();
      this.release();
    } else if (receivesChanges(lastState)) {
      this.listener.onTrackingLost();
    }
  }

  private updateTrust(): void {
    this.isFullyTracked = this.state === 'live' && this.inUse.every((channel) => channel.isLive);
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
