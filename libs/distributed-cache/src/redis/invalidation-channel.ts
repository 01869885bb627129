import type { Redis } from 'ioredis';
import { ConnectionFault } from './connection-fault.js';
import type { InvalidationLimits, InvalidationListener } from './invalidation-contract.js';
import { ProofAge } from './proof-age.js';
import { destroySocketOf, endClient, reconnectNow, unrefClient, watchConnecting } from './redis-client.js';
import { VAGUE_REASON } from './reply-errors.js';
import { RetryPace } from './retry-pace.js';
import { BrokenPathError, RefusedCommandError, SignalPath } from './signal-path.js';
import { openSubscriber } from './subscriber.js';

/*
 * How this process learns of changes that others make: another process, redis-cli, an expiry.
 *
 * The server tells a subscriber beside the data connection (see SignalPath); what the data connection itself changes is left out.
 * Redis reports neither the loss of one of the two connections nor that of a message. So the channel is live only from the moment a message
 * of the data connection has been heard on the subscriber, until one of them loses its socket or the same proof fails at a heartbeat.
 * Callers that trust a copy ask `isLive`, and drop old copies in `onLive`.
 *
 * Where the server refuses a command that this takes, processes announce their own changes to each other by publish and subscribe.
 */

/** A proof this much older than a heartbeat is none. */
const OVERDUE_SLACK_MS = 500;

/** The channel of one Redis server: its data connection, and a subscriber of our own beside it. */
export class InvalidationChannel {
  private readonly subscriber: Redis;
  private readonly path: SignalPath;
  private live = false;
  /** Whether the path must be proven again before it is relied on: the process has missed its heartbeats. */
  private isInDoubt = false;
  private isRefused = false;
  private isListening = false;
  private isClosed = false;
  private isHeard = false;
  /** Moves with each attempt and each loss: the steps of an earlier attempt change nothing any more. */
  private attempts = 0;
  private isArming = false;
  private isChecking = false;
  private lastProblem: string | undefined;
  private readonly fault = new ConnectionFault();
  private lostAtMs = performance.now();
  private readonly proof = new ProofAge();
  private readonly pace = new RetryPace();
  private heartbeatTimer: NodeJS.Timeout | undefined;
  private refusalTimer: NodeJS.Timeout | undefined;
  /** Whether the server is back, and the subscriber has not yet tried again. */
  private isToHurry = false;
  private readonly onSourceReady = (): void => {
    this.isToHurry = true;
    reconnectNow(this.subscriber);
    void this.arm();
  };
  private readonly onConnectionLost = (): void => {
    this.isArming = false;
    this.lose();
  };

  /** @param source the data connection, which is to send the messages; it is listened to and not closed */
  constructor(
    private readonly source: Redis,
    private readonly limits: InvalidationLimits,
    private readonly listener: InvalidationListener,
  ) {
    this.subscriber = openSubscriber(source, (attempt) => this.retryDelayMs(attempt));
    this.path = new SignalPath(source, this.subscriber, limits);
  }

  /** Whether every change is heard of, without doubt. */
  get isLive(): boolean {
    return this.live && !this.isInDoubt;
  }

  /** As {@link isLive}, or in doubt: set up, and not known to be lost. */
  get isArmed(): boolean {
    return this.live;
  }

  /** Whether the server refuses what tracking takes. */
  get isUnsupported(): boolean {
    return this.isRefused;
  }

  /** Whether what other processes announce is heard of, as far as the server can't track. */
  get hearsAnnouncements(): boolean {
    return this.isListening;
  }

  /**
   * To be called before a copy is trusted: a process that was stopped, or too busy for its heartbeats, may hold messages unread, or
   * have lost them with the connection. The path is proven anew, and until then the channel is not live.
   */
  distrustOverdue(): void {
    const sinceProofMs = this.proof.ageMs;
    if (!(this.live || this.isListening) || sinceProofMs <= this.limits.heartbeatMs + OVERDUE_SLACK_MS) {
      return;
    }
    if (this.live) {
      if (!this.isInDoubt) {
        this.isInDoubt = true;
        this.attempts++; // a check that is under way says nothing of what came after its beginning
        this.isChecking = false;
        this.isHeard = false;
        this.listener.onDoubt();
      }
      void this.check();
    } else {
      this.lose();
      void this.arm();
    }
  }

  /** Why it is not live; `undefined` while it is, or while it is being set up and nothing has failed yet. */
  get problem(): string | undefined {
    if (this.live) {
      return undefined;
    }
    const isOverdue = performance.now() - this.lostAtMs > this.limits.heartbeatMs;
    return this.lastProblem ?? (isOverdue ? 'the subscriber is not connected' : undefined);
  }

  /** Starts to set both ends up, and does so again whenever one of them has been lost. */
  open(): void {
    const { source, subscriber } = this;
    source.on('ready', this.onSourceReady);
    source.on('close', this.onConnectionLost);
    subscriber.on('error', (error: unknown) => this.noteConnectionError(error)); // it shows as `close`, too
    watchConnecting(subscriber, this.fault);
    subscriber.on('connect', () => {
      this.fault.clear();
      this.pace.onConnect();
      unrefClient(subscriber);
    });
    subscriber.on('reconnecting', () => unrefClient(subscriber));
    subscriber.on('close', this.onConnectionLost);
    subscriber.on('ready', () => {
      reconnectNow(source);
      void this.arm();
    });
    // Not `message`: it joins the array of keys into one string.
    subscriber.on('messageBuffer', (topic: Buffer, keys: unknown) => this.hear(String(topic), keys));
    subscriber.connect().catch(() => {});
  }

  close(): void {
    this.isClosed = true;
    this.lose();
    clearTimeout(this.refusalTimer);
    this.source.off('ready', this.onSourceReady);
    this.source.off('close', this.onConnectionLost);
    this.subscriber.removeAllListeners();
    this.subscriber.on('error', () => {});
    endClient(this.subscriber);
  }

  /** Runs when either end is (again) there; the later of the two finds both. */
  private arm(): Promise<void> {
    return this.prove((path) => path.track());
  }

  /** @param work proves that the path carries invalidation messages */
  private async prove(work: (path: SignalPath) => Promise<void>): Promise<void> {
    const { path, proof, limits } = this;
    if (!path.isOpen || this.isClosed || this.isArming) {
      return;
    }
    this.isArming = true;
    this.isChecking = false; // an earlier check says nothing any more
    const attempt = ++this.attempts;
    try {
      const beginning = proof.begin();
      const refusal = await refusalOf(work(path));
      const silence = refusal && (await refusalOf(path.listen(limits.announcements.topic)));
      if (attempt === this.attempts) {
        this.isArming = false;
        proof.end(beginning);
        this.onProven(refusal, silence);
      }
    } catch (error) {
      if (attempt === this.attempts) {
        this.fail(error);
      }
    }
  }

  /**
   * @param refusal why the server does not track
   * @param silence why announcements are not possible either
   */
  private onProven(refusal: RefusedCommandError | undefined, silence: RefusedCommandError | undefined): void {
    this.isHeard = false;
    this.isInDoubt = false;
    this.pace.onProven(refusal !== undefined);
    this.lastProblem = refusal && [...new Set([refusal.message, silence?.message ?? refusal.message])].join(', ');
    this.isRefused = refusal !== undefined;
    this.live = refusal === undefined;
    this.isListening = refusal !== undefined && silence === undefined;
    this.watch();
    if (refusal === undefined) {
      this.listener.onLive();
    } else {
      this.askAgainLater();
      this.listener.onRefused();
    }
  }

  /** The path does not work as it stands: the subscriber comes back with a new socket, after a while, and with it the next attempt. */
  private fail(error: unknown): void {
    if (this.pace.onFailure()) {
      this.lastProblem =
        error instanceof BrokenPathError || error instanceof RefusedCommandError
          ? error.message
          : 'a connection was lost';
    }
    this.isArming = false;
    this.lose();
    destroySocketOf(this.subscriber);
  }

  private askAgainLater(): void {
    clearTimeout(this.refusalTimer);
    this.refusalTimer = setTimeout(() => {
      if (!this.isRefused || this.isClosed) {
        return;
      }
      if (this.path.knowsSubscriber) {
        void this.arm();
      } else {
        destroySocketOf(this.subscriber);
      }
    }, this.pace.refusalMs());
    this.refusalTimer.unref();
  }

  /** A half-open subscriber would stay silent for ever, and silence is what it is expected to say. */
  private watch(): void {
    const { deadlineMs, heartbeatMs } = this.limits;
    clearInterval(this.heartbeatTimer);
    this.heartbeatTimer = setInterval(() => void this.check(), Math.max(heartbeatMs / 2, heartbeatMs - deadlineMs));
    this.heartbeatTimer.unref();
  }

  private async check(): Promise<void> {
    if (this.isChecking || this.isArming || (!this.live && !this.isListening)) {
      return;
    }
    this.isChecking = true;
    const attempt = this.attempts;
    const isHeard = this.limits.savesNonces && this.live && this.isHeard;
    this.isHeard = false;
    try {
      const beginning = this.proof.begin();
      await this.path.check(this.live, isHeard);
      if (attempt === this.attempts) {
        this.isChecking = false;
        this.proof.end(beginning);
        this.endDoubt();
      }
    } catch (error) {
      if (attempt === this.attempts) {
        this.fail(error);
      }
    }
  }

  /** The path has carried everything that was sent meanwhile, in order: no message was lost, and what is held is as good as before. */
  private endDoubt(): void {
    if (this.isInDoubt) {
      this.isInDoubt = false;
      this.listener.onDoubtEnded();
    }
  }

  /** An attempt that failed just before the data connection was back is made again at once; then as ever. */
  private retryDelayMs(attempt: number): number {
    const hurries = this.isToHurry && this.source.status === 'ready';
    this.isToHurry = false;
    return hurries ? 1 : this.pace.reconnectMs(attempt);
  }

  /** A refused login is a failure, and no reason to hurry; a lost connection is not. */
  private noteConnectionError(error: unknown): void {
    this.fault.note(error);
    if (this.fault.isNews) {
      this.lastProblem = `the subscriber can't connect (${this.fault.tell(VAGUE_REASON)})`;
    }
    if (error instanceof Error && error.name === 'ReplyError') {
      this.pace.onLoginRefused();
    }
  }

  private lose(): void {
    this.attempts++;
    this.isChecking = false;
    this.isInDoubt = false;
    clearInterval(this.heartbeatTimer);
    if (this.live || this.isListening || this.isRefused) {
      this.live = false;
      this.isListening = false;
      this.isRefused = false;
      this.lostAtMs = performance.now();
      this.listener.onLost();
    }
  }

  private hear(topic: string, message: unknown): void {
    const { announcements } = this.limits;
    if (this.path.hear(topic, message)) {
      this.isHeard = true;
      this.listener.onChanged(Array.isArray(message) ? message.map(String) : undefined);
    } else if (topic === announcements.topic) {
      const announced = announcements.keysOf(message);
      if (announced !== undefined) {
        this.listener.onChanged(announced);
      }
    }
  }
}

/** Resolves with the refusal, if that is what becomes of the work. */
async function refusalOf(work: Promise<void>): Promise<RefusedCommandError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof RefusedCommandError) {
      return error;
    }
    throw error;
  }
}
