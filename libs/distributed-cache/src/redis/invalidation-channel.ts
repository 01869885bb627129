import type { Redis } from 'ioredis';
import type { Announcements } from './announcements.js';
import { reconnectDelayMs } from './client-options.js';
import { destroySocketOf, reconnectNow, unrefClient } from './redis-client.js';

/*
 * How this process learns of changes that others make.
 *
 * `CLIENT TRACKING ON BCAST PREFIX p: REDIRECT <subscriber> NOLOOP` on the data connection makes Redis send the name of every
 * key under the prefix that anybody changes (another process, redis-cli, an expiry) to a second connection, which has
 * subscribed to `__redis__:invalidate`. NOLOOP leaves out what the data connection itself changes: the core knows that.
 *
 * A connection that was handed in is left alone: there the subscriber tracks for itself and hears of our own changes too.
 *
 * Redis tells nobody when one of the two connections is lost, and messages are not kept. So the channel counts as live only
 * from the moment both ends have been set up until either is in doubt: the data connection reports its own loss, the
 * subscriber is watched by a PING. Whoever trusts a copy asks `isLive` and throws old copies away in `onLive`.
 *
 * Where the server can't or may not track, processes announce their own changes to each other by publish and subscribe.
 *
 * We subscribe by ourselves on every `ready`: the client's own resubscription can lose the subscription while PING is still
 * answered (redis/ioredis#2187). And we read `messageBuffer`: `message` joins the array of keys into one string.
 */

export interface InvalidationListener {
  /** These keys have changed; `undefined`: anything may have (FLUSHALL). */
  onChanged(keys: readonly string[] | undefined): void;
  /** From now on changes are heard of; what was before may have been missed. */
  onLive(): void;
  /** From now on changes may be missed. */
  onLost(): void;
  /** The server can't or may not track: others' changes are heard of only if they announce them, or never. */
  onRefused(): void;
}

export interface InvalidationLimits {
  /**
   * The data connection is not ours alone: it was handed in. Then nothing is switched on there (others may use it for tracking
   * of their own, and it outlives us), the subscriber tracks for itself, and our own changes are heard of as well.
   */
  readonly hearsItself: boolean;
  /** What the names of all keys begin with, colon included. */
  readonly prefix: string;
  readonly deadlineMs: number;
  readonly heartbeatMs: number;
  readonly announcements: Announcements;
}

const TOPIC = '__redis__:invalidate';

/** The channel of one Redis server: its data connection, and a subscriber of our own beside it. */
export class InvalidationChannel {
  private readonly subscriber: Redis;
  private live = false;
  private isRefused = false;
  private isListening = false;
  private isClosed = false;
  private arming: Promise<void> | undefined;
  private attempts = 0;
  private heartbeatTimer: NodeJS.Timeout | undefined;
  /** Whether the server is back, and the subscriber has not yet tried again. */
  private isToHurry = false;
  private readonly onSourceReady = (): void => {
    this.isToHurry = true;
    reconnectNow(this.subscriber);
    void this.arm();
  };
  private readonly onSourceClose = (): void => this.lose();

  /** @param source the data connection, which is to send the messages; it is listened to and not closed */
  constructor(
    private readonly source: Redis,
    private readonly limits: InvalidationLimits,
    private readonly listener: InvalidationListener,
  ) {
    this.subscriber = source.duplicate({
      lazyConnect: true,
      // A command timeout would turn a slow subscription into an unhandled rejection inside the client.
      commandTimeout: undefined,
      // What was said on a lost connection is not repeated on the next: a late SUBSCRIBE would come before our question for the id.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      // It would end the client for good if it heard of a failover while reconnecting; our own watch finds out as well.
      failoverDetector: false,
      retryStrategy: (attempt) => this.retryDelayMs(attempt),
    });
  }

  /** Whether every change is heard of. */
  get isLive(): boolean {
    return this.live;
  }

  /** Whether the server can't or may not track (before Redis 6, or by its ACL). */
  get isUnsupported(): boolean {
    return this.isRefused;
  }

  /** Whether what other processes announce is heard of, as far as the server can't track. */
  get hearsAnnouncements(): boolean {
    return this.isListening;
  }

  /** Starts to set both ends up, and does so again whenever one of them has been lost. */
  open(): void {
    const { source, subscriber } = this;
    source.on('ready', this.onSourceReady);
    source.on('close', this.onSourceClose);
    subscriber.on('error', () => {}); // its failure shows as `close`
    subscriber.on('connect', () => unrefClient(subscriber));
    subscriber.on('reconnecting', () => unrefClient(subscriber));
    subscriber.on('close', () => this.lose());
    subscriber.on('ready', () => {
      if (!this.limits.hearsItself) {
        reconnectNow(source);
      }
      void this.arm();
    });
    subscriber.on('messageBuffer', (topic: Buffer, keys: unknown) => this.hear(String(topic), keys));
    subscriber.connect().catch(() => {});
  }

  /** Resolves when every message that Redis has sent so far has been heard; never rejects. */
  async catchUp(): Promise<void> {
    if (this.live) {
      await within(this.limits.deadlineMs, this.subscriber.ping()).catch(() => {}); // the watch deals with that
    }
  }

  close(): void {
    this.isClosed = true;
    this.lose();
    this.source.off('ready', this.onSourceReady);
    this.source.off('close', this.onSourceClose);
    this.subscriber.removeAllListeners();
    this.subscriber.on('error', () => {});
    this.subscriber.disconnect();
  }

  /** Runs when either end is (again) there; the later of the two finds both. */
  private async arm(): Promise<void> {
    const { subscriber, source } = this;
    if (subscriber.status !== 'ready' || source.status !== 'ready' || this.isClosed) {
      return;
    }
    this.arming ??= this.subscribeAndTrack().finally(() => {
      this.arming = undefined;
    });
    await this.arming;
  }

  private async subscribeAndTrack(): Promise<void> {
    const { subscriber, source, limits } = this;
    const sourceSocket = source.stream;
    if (!areAtOneServer(source, subscriber)) {
      destroySocketOf(subscriber); // after a failover one end may still be at the old master
      return;
    }
    const attempt = ++this.attempts;
    /** One that has run out of time must not go on beside the next. */
    const step = async <Result>(answer: Promise<Result>): Promise<Result> => {
      const result = await answer;
      if (attempt !== this.attempts) {
        throw new Error('another attempt has begun');
      }
      return result;
    };
    const steps = async (): Promise<void> => {
      // A subscribed connection may not ask for its id any more: leave, ask, subscribe again.
      await step(subscriber.unsubscribe(TOPIC));
      const id = await step(subscriber.client('ID'));
      if (limits.hearsItself) {
        await step(subscriber.client('TRACKING', 'OFF'));
        await step(subscriber.client('TRACKING', 'ON', 'REDIRECT', id, 'BCAST', 'PREFIX', limits.prefix));
        await step(subscriber.subscribe(TOPIC));
      } else {
        await step(subscriber.subscribe(TOPIC));
        await step(source.client('TRACKING', 'OFF'));
        await step(source.client('TRACKING', 'ON', 'REDIRECT', id, 'BCAST', 'PREFIX', limits.prefix, 'NOLOOP'));
      }
    };
    try {
      await within(limits.deadlineMs, steps());
      this.isRefused = false;
    } catch (error) {
      this.attempts++;
      if (isRefusal(error)) {
        this.isRefused = true; // asked again with the next connection
        await this.listenToAnnouncements();
        this.listener.onRefused();
      } else if (!this.isClosed) {
        destroySocketOf(subscriber); // it comes back with another `ready`
      }
      return;
    }
    if (
      source.stream === sourceSocket &&
      source.status === 'ready' &&
      subscriber.status === 'ready' &&
      !this.isClosed
    ) {
      this.live = true;
      this.watch();
      this.listener.onLive();
    } else {
      destroySocketOf(subscriber);
    }
  }

  private async listenToAnnouncements(): Promise<void> {
    const { subscriber, limits } = this;
    try {
      await within(limits.deadlineMs, subscriber.subscribe(limits.announcements.topic));
      this.isListening = subscriber.status === 'ready' && !this.isClosed;
      this.watch();
    } catch {
      this.isListening = false; // not allowed either, or lost: then there is another `ready`
    }
  }

  /** A half-open subscriber would stay silent for ever, and silence is what it is expected to say. */
  private watch(): void {
    const { subscriber } = this;
    const { deadlineMs, heartbeatMs } = this.limits;
    clearInterval(this.heartbeatTimer);
    this.heartbeatTimer = setInterval(
      () => {
        within(deadlineMs, subscriber.ping()).catch(() => {
          this.lose();
          destroySocketOf(subscriber);
        });
      },
      Math.max(heartbeatMs / 2, heartbeatMs - deadlineMs),
    );
    this.heartbeatTimer.unref();
  }

  /** An attempt that failed just before the data connection was back is made again at once; then as ever. */
  private retryDelayMs(attempt: number): number {
    const hurries = this.isToHurry && this.source.status === 'ready';
    this.isToHurry = false;
    return hurries ? 1 : reconnectDelayMs(attempt);
  }

  private lose(): void {
    clearInterval(this.heartbeatTimer);
    if (this.live || this.isListening) {
      this.live = false;
      this.isListening = false;
      this.isRefused = false;
      this.listener.onLost();
    }
  }

  private hear(topic: string, keys: unknown): void {
    const { announcements } = this.limits;
    if (topic === announcements.topic) {
      const announced = announcements.keysOf(keys);
      if (announced !== undefined) {
        this.listener.onChanged(announced);
      }
    } else if (Array.isArray(keys)) {
      this.listener.onChanged(keys.map(String));
    } else {
      this.listener.onChanged(undefined);
    }
  }
}

/** Whether the server does not know tracking (before Redis 6) or does not let this user have it. Any other error may pass. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && /^(NOPERM|ERR unknown (sub)?command|ERR wrong number)/i.test(error.message);
}

/** An id of the one server is another client's, or nobody's, at another. */
function areAtOneServer({ stream: one }: Redis, { stream: other }: Redis): boolean {
  const [a, b] = [one, other] as Partial<Record<'remoteAddress' | 'remotePort', unknown>>[];
  return a?.remotePort === b?.remotePort && a?.remoteAddress === b?.remoteAddress;
}

/** Waits no longer than `limitMs` (after one more look at the sockets, should the process have been busy). */
function within<Result>(limitMs: number, work: Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => reject(new Error('no answer in time'))), limitMs);
    timer.unref();
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
