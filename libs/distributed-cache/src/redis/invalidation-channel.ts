import type { Redis } from 'ioredis';
import { ConnectionFault, VAGUE_REASON } from './client-errors.js';
import { destroySocketOf, endClient, reconnectNow, unrefClient, watchConnecting } from './redis-client.js';
import { ProofAge, RetryPace } from './channel-pace.js';
import type { ProcessTopics } from './process-topics.js';
import { BrokenPathError, RefusedCommandError, SignalPath, SplitPathError } from './signal-path.js';
import { openSubscriber } from './client-link.js';
import { randomUUID } from 'node:crypto';

/*
 * The invalidation channel: the messages by which this process learns of changes by others (another process, redis-cli,
 * an expiry).
 *
 * The server sends the messages to a subscriber beside the data connection (see SignalPath); changes by the data
 * connection itself are left out. Redis reports neither the loss of one of the two connections nor that of a message.
 * So the channel proves itself: it becomes live when a message of the data connection has arrived at the subscriber. It
 * is lost when one of the two connections loses its socket, or when the same proof fails at a heartbeat. Callers that
 * trust a local copy check `isLive`, and drop old copies in `onTrackingUp`.
 *
 * When the server refuses a command that this needs, processes announce their own changes to each other by publish and
 * subscribe.
 */

/**
 * How this process learns of changes. `live`: it receives every change. `announced`: this server can't or may not
 * track, but the processes of this cache announce their own changes to each other. `none`: not even that. `lost`: for
 * now it receives nothing.
 */
export type InvalidationState = 'live' | 'announced' | 'lost' | 'none';

/** Whether the server refuses tracking. */
export function isRefused(state: InvalidationState): boolean {
  return state === 'announced' || state === 'none';
}

/** Whether changes by the other processes of this cache are received. */
export function receivesChanges(state: InvalidationState): boolean {
  return state === 'live' || state === 'announced';
}

export interface InvalidationListener {
  /** These keys have changed; `undefined`: any key may have (FLUSHALL). */
  onChanged(keys: readonly string[] | undefined): void;
  /** Changes are received from now on; earlier ones may have been missed. */
  onTrackingUp(): void;
  /** Changes may be missed from now on. */
  onTrackingLost(): void;
  /**
   * Messages may be unread, or lost: local copies are not trusted until {@link onDoubtEnded} or {@link onTrackingLost}.
   */
  onDoubt(): void;
  /** The doubt has ended: no message was lost. */
  onDoubtEnded(): void;
  /** The server refuses tracking for this user: changes by others are received only if they announce them, or never. */
  onRefused(): void;
}

export interface InvalidationLimits {
  /** The prefix of all keys, colon included. */
  readonly prefix: string;
  readonly deadlineMs: number;
  readonly heartbeatMs: number;
  readonly announcements: Announcements;
  /** The topics on which processes ask each other. */
  readonly topics: ProcessTopics;
  /**
   * Whether `PUBLISH` reaches every node of a cluster, so that each nonce has a cost. Then an invalidation message
   * since the last heartbeat replaces the nonce.
   */
  readonly savesNonces: boolean;
  /** Receives the most time that a message took, in milliseconds; at each heartbeat. See {@link SignalPath}. */
  onLag?(lagMs: number): void;
}

/** A proof that is older than a heartbeat by this much, in milliseconds, no longer counts. */
const OVERDUE_SLACK_MS = 500;

/** The invalidation channel of one Redis server: its data connection, and a subscriber connection beside it. */
export class InvalidationChannel {
  private readonly subscriber: Redis;
  readonly path: SignalPath;
  /** How this process learns of changes of this server's keys; `live` also while that is in doubt. */
  state: InvalidationState = 'lost';
  /** Why the path must be proven again before local copies are trusted: a late answer, or missed heartbeats. */
  private doubt: 'late' | 'overdue' | undefined;
  private isClosed = false;
  /** Whether an invalidation message has arrived since the last heartbeat. */
  private hasMessage = false;
  /** Increases with each attempt and each loss, so that the steps of an earlier attempt have no effect any more. */
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
  private readonly onSourceReady = (): void => {
    if (!this.pace.wasLoginRefused) {
      this.hurry();
    }
    void this.arm();
  };
  private readonly onConnectionLost = (): void => {
    this.isArming = false;
    this.lose();
  };

  /**
   * @param source the data connection, on which tracking is turned on; its events are observed, and it is not closed
   */
  constructor(
    private readonly source: Redis,
    private readonly limits: InvalidationLimits,
    private readonly listener: InvalidationListener,
  ) {
    this.subscriber = openSubscriber(source, (attempt) => this.pace.reconnectMs(attempt, source.status === 'ready'));
    this.path = new SignalPath(source, this.subscriber, limits);
  }

  /** Whether this process receives every change, without doubt. */
  get isLive(): boolean {
    return this.state === 'live' && this.doubt === undefined;
  }

  /** How long ago the last proof began, in milliseconds: every message that was sent before has arrived. */
  get proofAgeMs(): number {
    return this.proof.ageMs;
  }

  /**
   * Checks the age of the last proof; to be called before a local copy is trusted. A process that was stopped, or too
   * busy for its heartbeats, may have unread messages, or have lost them with the connection. The path is then proven
   * anew, and until then the channel is not live.
   */
  checkHeartbeat(): void {
    const sinceProofMs = this.proof.ageMs;
    if (!receivesChanges(this.state) || sinceProofMs <= this.limits.heartbeatMs + OVERDUE_SLACK_MS) {
      return;
    }
    if (this.state === 'live') {
      if (this.doubt !== 'overdue') {
        this.beginDoubt('overdue');
        this.attempts++; // a check that is under way proves nothing about the time after its beginning
        this.isChecking = false;
        this.hasMessage = false;
      }
      void this.check();
    } else {
      this.lose();
      void this.arm();
    }
  }

  /**
   * Why the channel is not live; `undefined` while it is live, and while it is being set up and nothing has failed yet.
   */
  get problem(): string | undefined {
    if (this.state === 'live') {
      return undefined;
    }
    const isOverdue = performance.now() - this.lostAtMs > this.limits.heartbeatMs;
    return this.lastProblem ?? (isOverdue ? 'the subscriber is not connected' : undefined);
  }

  /** Starts to set up both connections, and does so again whenever one of them has been lost. */
  open(): void {
    const { source, subscriber } = this;
    source.on('ready', this.onSourceReady);
    source.on('close', this.onConnectionLost);
    subscriber.on('error', (error: unknown) => this.noteConnectionError(error)); // the error is followed by `close`
    watchConnecting(subscriber, this.fault);
    subscriber.on('connect', () => {
      this.fault.clear();
      this.pace.onConnect();
      unrefClient(subscriber);
    });
    subscriber.on('reconnecting', () => unrefClient(subscriber));
    subscriber.on('close', () => {
      this.reportFault(); // a server beyond its maximum of connections closes the socket, and the client emits no error
      this.onConnectionLost();
    });
    subscriber.on('ready', () => {
      if (!this.pace.wasLoginRefused) {
        reconnectNow(source);
      }
      void this.arm();
    });
    // Not `message`: it joins the array of keys into one string.
    subscriber.on('messageBuffer', (topic: Buffer, keys: unknown) => this.onMessage(String(topic), keys));
    subscriber.connect().catch(() => {});
  }

  /** Connects the subscriber now, if it waits for its next attempt: the server is back. */
  hurry(): void {
    this.pace.hurry();
    reconnectNow(this.subscriber);
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

  /** Sets up tracking. It is called when either connection becomes ready; the later of the two calls finds both. */
  private async arm(): Promise<void> {
    const { path, proof, limits } = this;
    if (!path.isOpen || this.isClosed || this.isArming) {
      return;
    }
    this.isArming = true;
    this.isChecking = false; // an earlier check no longer counts
    const attempt = ++this.attempts;
    try {
      const beginning = proof.begin();
      const refusal = await refusalOf(path.track());
      const listenRefusal = refusal && (await refusalOf(path.listen(limits.announcements.topic)));
      if (attempt === this.attempts) {
        this.isArming = false;
        proof.end(beginning);
        this.onProven(refusal, listenRefusal);
      }
    } catch (error) {
      if (attempt === this.attempts) {
        this.fail(error);
      }
    }
  }

  /**
   * Updates the state after a proof.
   * @param refusal why the server does not track
   * @param listenRefusal why announcements can't be received either
   */
  private onProven(refusal: RefusedCommandError | undefined, listenRefusal: RefusedCommandError | undefined): void {
    this.hasMessage = false;
    this.doubt = undefined;
    this.pace.onProven(refusal !== undefined);
    this.lastProblem = refusal && [...new Set([refusal.message, listenRefusal?.message ?? refusal.message])].join(', ');
    this.state = refusal === undefined ? 'live' : listenRefusal === undefined ? 'announced' : 'none';
    this.startHeartbeats();
    if (refusal === undefined) {
      this.listener.onTrackingUp();
    } else {
      this.askAgainLater();
      this.listener.onRefused();
    }
  }

  /** Gives up the present path: after a delay the subscriber reconnects with a new socket, and is armed again. */
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
    if (error instanceof SplitPathError && this.pace.onSplit()) {
      destroySocketOf(this.source);
    }
  }

  private askAgainLater(): void {
    clearTimeout(this.refusalTimer);
    this.refusalTimer = setTimeout(() => {
      if (isRefused(this.state) && this.path.knowsSubscriber) {
        void this.arm();
      } else if (isRefused(this.state)) {
        destroySocketOf(this.subscriber);
      }
    }, this.pace.refusalMs());
    this.refusalTimer.unref();
  }

  /** Starts the heartbeats: without them a half-open subscriber, on which silence is normal, would never be noticed. */
  private startHeartbeats(): void {
    const { deadlineMs, heartbeatMs } = this.limits;
    clearInterval(this.heartbeatTimer);
    this.heartbeatTimer = setInterval(() => void this.check(), Math.max(heartbeatMs / 2, heartbeatMs - deadlineMs));
    this.heartbeatTimer.unref();
  }

  /** Proves the path anew, as at each heartbeat. Never rejects. */
  async check(): Promise<void> {
    if (this.isChecking || this.isArming || !receivesChanges(this.state)) {
      return;
    }
    this.isChecking = true;
    const attempt = this.attempts;
    const isTracking = this.state === 'live';
    const isNonceSaved = this.limits.savesNonces && isTracking && this.hasMessage;
    this.hasMessage = false;
    try {
      const beginning = this.proof.begin();
      await this.path.check(isTracking, isNonceSaved, () => attempt === this.attempts && this.beginDoubt('late'));
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

  private beginDoubt(doubt: 'late' | 'overdue'): void {
    if (this.state === 'live' && this.doubt !== 'overdue') {
      this.doubt = doubt;
      this.listener.onDoubt();
    }
  }

  /** The path has carried everything that was sent meanwhile, in order: local copies are as good as before. */
  private endDoubt(): void {
    if (this.doubt !== undefined) {
      this.doubt = undefined;
      this.listener.onDoubtEnded();
    }
  }

  /** A refused login counts as a failure, which lengthens the delay; a lost connection does not. */
  private noteConnectionError(error: unknown): void {
    this.fault.note(error);
    this.reportFault();
    if (error instanceof Error && error.name === 'ReplyError') {
      this.pace.onLoginRefused();
    }
  }

  private reportFault(): void {
    if (this.fault.isNews) {
      this.lastProblem = `the subscriber can't connect (${this.fault.report(VAGUE_REASON)})`;
    }
  }

  private lose(): void {
    this.attempts++;
    this.isChecking = false;
    this.doubt = undefined;
    clearInterval(this.heartbeatTimer);
    if (this.state !== 'lost') {
      this.state = 'lost';
      this.lostAtMs = performance.now();
      this.listener.onTrackingLost();
    }
  }

  private onMessage(topic: string, message: unknown): void {
    const { announcements } = this.limits;
    if (topic === announcements.topic) {
      const announced = announcements.keysOf(message);
      if (announced !== undefined) {
        this.listener.onChanged(announced);
      }
    } else if (this.path.receive(topic, message)) {
      this.hasMessage = true;
      // remedy: message-drops-copy
      this.listener.onChanged(Array.isArray(message) ? message.map(String) : undefined);
    }
  }
}

/** Resolves with the refusal, if the work rejects with one. */
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

/** Maximum number of keys in one message. */
const KEYS_PER_MESSAGE = 500;

/**
 * The messages by which processes announce their own changes to each other when the server can't or may not track. A
 * message holds names of keys. It is sent by publish and subscribe, after the change that it is about. Changes by other
 * clients and expiries are not announced.
 */
export class Announcements {
  /** A channel, not a key: nothing is stored under it. */
  readonly topic: string;
  /** Identifies this process: its own messages come back to it, and would remove from L1 what it has just stored. */
  private readonly sender = randomUUID();

  /** @param prefix the prefix of all keys, colon included */
  constructor(prefix: string) {
    this.topic = `${prefix}#changed`;
  }

  messagesOf(keys: readonly string[]): string[] {
    const messages: string[] = [];
    for (let from = 0; from < keys.length; from += KEYS_PER_MESSAGE) {
      messages.push(JSON.stringify([this.sender, ...keys.slice(from, from + KEYS_PER_MESSAGE)]));
    }
    return messages;
  }

  /**
   * Reads a message.
   * @returns the keys that another process has changed; `undefined` for a message of this process, or of another format
   */
  keysOf(message: unknown): readonly string[] | undefined {
    try {
      const parsed: unknown = JSON.parse(String(message));
      const [sender, ...keys] = Array.isArray(parsed) ? (parsed as unknown[]) : [];
      return sender !== this.sender && keys.length > 0 && keys.every((key) => typeof key === 'string')
        ? keys
        : undefined;
    } catch {
      return undefined; // another program uses the channel
    }
  }
}
