import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { REAL_TIME, withinDeadline } from './deadline.js';
import { inOneWrite } from './redis-client.js';
import { DispensableCommand, isForbidden, outageReason } from './client-errors.js';
import type { ProcessTopics } from './process-topics.js';

/*
 * The path of an invalidation message: data connection, server, subscriber.
 *
 * After `CLIENT TRACKING ON REDIRECT <id> BCAST PREFIX p: NOLOOP` on the data connection, the server sends the names of
 * changed keys to the client with this id, which has subscribed to `__redis__:invalidate`. None of the replies says that
 * the path works: behind one address (a proxy, a Kubernetes Service) the two connections may be at different servers,
 * and at the other server another client may have the id.
 *
 * So the path is proven by a message. The data connection publishes a nonce to a topic that only this subscriber has
 * subscribed to:
 *
 * - The reply to `PUBLISH` is the number of clients of this very server that have received it (not those of its replicas,
 * nor of other nodes of a cluster). One or more means that both connections are at one server, so that the id in
 * `REDIRECT` is the subscriber's.
 * - The nonce arrives at the subscriber, after every invalidation message that was sent before it.
 *
 * A nonce says nothing about the messages themselves. So before the first nonce the data connection changes a key,
 * this one time without NOLOOP. If no message about it arrives before the nonce, the server has accepted `CLIENT
 * TRACKING` without effect, which counts as a refusal.
 *
 * A connection stays at its server for as long as its socket lives, so both sockets are compared after each step. At
 * each heartbeat three things are checked again: the nonce; how many subscriptions the subscriber holds at the server
 * (the reply to a repeated `SUBSCRIBE`, which the loss of any of them lowers); and where the data connection's tracking
 * is redirected to (`CLIENT GETREDIR`).
 */

const INVALIDATIONS = '__redis__:invalidate';

/** Longest time for setting the path up, in milliseconds. It is not the deadline of a caller: no call waits for it. */
const ARMING_LIMIT_MS = 3000;
/** Longest time for a nonce to arrive after `PUBLISH` has been answered, in milliseconds, while the path is set up. */
const ARRIVAL_LIMIT_MS = 1000;

/** Refused topics are tried again after this many heartbeats. */
const CHECKS_PER_RETRY = 60;

const GETREDIR = new DispensableCommand();

/** The server answers a command with an error (it does not know it, or this user may not use it), or ignores it. */
export class RefusedCommandError extends Error {
  override readonly name = 'RefusedCommandError';

  constructor(
    command: string,
    outcome: string,
    /** The first word of the reply, such as `NOPERM`. */
    readonly reason = '',
  ) {
    super(`${command} ${outcome}`);
  }
}

/** The path does not carry messages; `message` says why. */
export class BrokenPathError extends Error {
  override readonly name: string = 'BrokenPathError';
}

/** The two connections are at different servers. */
export class SplitPathError extends BrokenPathError {
  override readonly name = 'SplitPathError';

  constructor() {
    super('the data connection and the subscriber are at different servers');
  }
}

export interface SignalPathLimits {
  /** The prefix of all keys, colon included. */
  readonly prefix: string;
  /**
   * The time for an answer of the subscriber, or a message to it, at a heartbeat, in milliseconds. After that the path
   * is in doubt, for as long again; then it is broken.
   */
  readonly deadlineMs: number;
  /**
   * Receives the round trip of each question to the subscriber, in milliseconds: its answer stands behind every message
   * that the server had sent before.
   */
  onLag?(lagMs: number): void;
  /** What the subscriber listens to besides. */
  readonly topics: ProcessTopics;
}

/** Sets up and proves the path of invalidation messages between a data connection and its subscriber. */
export class SignalPath {
  /** The topic of the nonces, to which no other client subscribes, and the key that is changed before the first one. */
  private readonly proofTopic: string;
  /** The subscriber's client id, or the question for it; valid for one socket. */
  private subscriberId: { readonly socket: unknown; readonly id: Promise<unknown> } | undefined;
  private subscriptions = 0;
  /** Whether an invalidation message has ever arrived. */
  hasReported = false;
  private nonces = 0;
  private checksWhileRefused = 0;
  /** The socket on which the path was set up last. */
  private listeningSocket: unknown;
  private awaited: { readonly nonce: string; readonly onArrival: () => void } | undefined;

  constructor(
    private readonly source: Redis,
    private readonly subscriber: Redis,
    private readonly limits: SignalPathLimits,
  ) {
    this.proofTopic = `${limits.prefix}#proof:${randomUUID()}`;
  }

  /** Whether both connections take commands. */
  get isOpen(): boolean {
    return this.source.status === 'ready' && this.subscriber.status === 'ready';
  }

  /**
   * Whether the subscriber's id is known for its present socket. If not, a new socket is needed: a connection with
   * subscriptions can't ask for its id.
   */
  get knowsSubscriber(): boolean {
    return this.subscriberId !== undefined && this.subscriberId.socket === this.subscriber.stream;
  }

  /**
   * Makes the server send every change under the prefix to the subscriber, and proves that it does.
   * @throws RefusedCommandError, BrokenPathError, or what the client throws when it loses a connection
   */
  track(): Promise<void> {
    return this.onSameSockets(ARMING_LIMIT_MS, async (requireSame) => {
      const id = await this.prepareSubscriber();
      requireSame();
      const isChanged = await this.changeProofKey(id);
      await this.proveAfter(() => this.turnTrackingOn(id, 'NOLOOP'));
      if (isChanged && !this.hasReported) {
        throw new RefusedCommandError('CLIENT TRACKING', 'has no effect');
      }
      this.startListeningAside();
    });
  }

  /**
   * Subscribes to what other processes publish to `topic`, and proves that the data connection may publish.
   * @throws as {@link track}
   */
  listen(topic: string): Promise<void> {
    return this.onSameSockets(ARMING_LIMIT_MS, async (requireSame) => {
      await this.subscribe(this.proofTopic, topic);
      requireSame();
      await this.proveAfter(() => []);
      this.startListeningAside();
    });
  }

  /**
   * Proves the path again. The subscriber, which carries nothing else, must answer within the deadline, or, when it is in
   * doubt, within twice the deadline; the answers of the data connection may queue behind its own load.
   * @param isTracking whether {@link track} has set it up
   * @param isNonceSaved whether an invalidation message has arrived since the last check, which replaces the nonce
   * @param onDoubt called when the subscriber has not answered within the deadline
   * @throws as {@link track}
   */
  check(isTracking: boolean, isNonceSaved: boolean, onDoubt: () => void): Promise<void> {
    const { deadlineMs } = this.limits;
    return this.onSameSockets(ARMING_LIMIT_MS, async () => {
      const askedAtMs = REAL_TIME.nowMs();
      const resubscribing = replyTo('SUBSCRIBE', this.subscriber.subscribe(this.proofTopic)).then((count) => {
        this.limits.onLag?.(REAL_TIME.nowMs() - askedAtMs);
        return count === this.subscriptions; // compared before the reply to a later subscription is read
      });
      const questions = (): Promise<unknown>[] =>
        isTracking && GETREDIR.maySend(this.source) ? [this.requireRedirection()] : [];
      const [areComplete] = await Promise.all([
        within(deadlineMs, resubscribing, 'the subscriber does not answer in time', onDoubt),
        isNonceSaved ? Promise.all(questions()) : this.proveAfter(questions, deadlineMs, onDoubt),
      ]);
      if (!areComplete) {
        throw new BrokenPathError('the subscriber has lost a subscription');
      }
      if (this.limits.topics.refusal !== undefined && ++this.checksWhileRefused % CHECKS_PER_RETRY === 0) {
        void this.listenAside();
      }
    });
  }

  /**
   * Subscribes to the topics on which processes ask each other, once the path is set up. A refusal concerns only these
   * topics, and is tried again about once a minute. Never rejects. @returns whether the subscriber listens to them
   */
  async listenAside(): Promise<boolean> {
    const { topics } = this.limits;
    if (!this.isOpen || this.listeningSocket !== this.subscriber.stream) {
      return false; // a subscription would come before the question for the id
    }
    try {
      await this.subscribe(...topics.names);
      topics.refusal = undefined;
      return true;
    } catch (error) {
      topics.refusal = error instanceof RefusedCommandError ? error.reason : undefined;
      return false;
    }
  }

  /**
   * Receives each message to the subscriber that is no announcement, and passes on those of other processes.
   * @returns whether it is an invalidation message: every message that no client has published to a topic of this path
   * is one, because its topic is not the same on all servers (Redict 7.3 sends `__redict__:invalidat`)
   */
  receive(topic: string, message: unknown): boolean {
    if (this.limits.topics.receive(topic, message)) {
      return false;
    }
    if (topic !== this.proofTopic) {
      this.hasReported = true;
      return true;
    }
    if (String(message) === this.awaited?.nonce) {
      this.awaited.onArrival();
    }
    return false;
  }

  /**
   * Subscribes to the topics, and returns the subscriber's id. A new socket is asked for its id once, before it
   * subscribes: afterwards it may not answer.
   */
  private async prepareSubscriber(): Promise<unknown> {
    const { subscriber, proofTopic } = this;
    const [id] = await Promise.all(
      inOneWrite(subscriber, () => [this.idOfSubscriber(), this.subscribe(INVALIDATIONS, proofTopic)]),
    );
    return id;
  }

  /** Subscribes, and remembers how many subscriptions the subscriber holds then. */
  private subscribe(...topics: string[]): Promise<void> {
    return replyTo('SUBSCRIBE', this.subscriber.subscribe(...topics)).then((count) => {
      this.subscriptions = Number(count);
    });
  }

  private startListeningAside(): void {
    this.listeningSocket = this.subscriber.stream;
    void this.listenAside();
  }

  private idOfSubscriber(): Promise<unknown> {
    if (this.subscriberId === undefined || !this.knowsSubscriber) {
      const asked = { socket: this.subscriber.stream, id: this.identify() };
      this.subscriberId = asked;
      asked.id.catch(() => {
        if (this.subscriberId === asked) {
          this.subscriberId = undefined;
        }
      });
    }
    return this.subscriberId.id;
  }

  /** Gives the subscriber the name of the data connection (the client itself does not), and asks for its id. */
  private async identify(): Promise<unknown> {
    const { connectionName } = this.source.options;
    const naming = connectionName === undefined ? undefined : this.subscriber.client('SETNAME', connectionName);
    const [id] = await Promise.all([replyTo('CLIENT ID', this.subscriber.client('ID')), naming?.catch(ignoreReply)]);
    return id;
  }

  private turnTrackingOn(id: unknown, ...more: readonly 'NOLOOP'[]): readonly Promise<unknown>[] {
    const { source, limits } = this;
    const turningOff = source.client('TRACKING', 'OFF'); // of an earlier attempt; a prefix may not be given twice
    const args = ['TRACKING', 'ON', 'REDIRECT', Number(id), 'BCAST', 'PREFIX', limits.prefix, ...more] as const;
    return [turningOff.catch(ignoreReply), replyTo('CLIENT TRACKING', source.client(...args))];
  }

  /**
   * Changes a key so that the server must report it to this process, once: all processes of the cache receive the
   * message.
   * @returns whether the key was changed; this user, or this server, may not write it
   */
  private async changeProofKey(id: unknown): Promise<boolean> {
    const { source, proofTopic: key } = this;
    if (this.hasReported) {
      return false;
    }
    const answers = inOneWrite(source, () => [
      ...this.turnTrackingOn(id),
      source.set(key, '', 'PX', ARMING_LIMIT_MS),
      source.unlink(key),
    ]);
    const [, , written] = await Promise.allSettled(answers);
    return written?.status === 'fulfilled';
  }

  /**
   * Sends commands, followed by a nonce, in one write of the data connection, and waits until the nonce has arrived at
   * the subscriber.
   * @param limitMs how long that may take after the commands have been answered, in milliseconds
   * @param onDoubt as in {@link within}
   */
  private async proveAfter(
    send: () => readonly Promise<unknown>[],
    limitMs = ARRIVAL_LIMIT_MS,
    onDoubt?: () => void,
  ): Promise<void> {
    const { source, proofTopic } = this;
    const nonce = String(++this.nonces);
    const arrival = new Promise<void>((resolve) => {
      this.awaited = { nonce, onArrival: resolve };
    });
    const answers = inOneWrite(source, () => [...send(), replyTo('PUBLISH', source.publish(proofTopic, nonce))]);
    const outcomes = await Promise.allSettled(answers);
    const published = outcomes.at(-1);
    if (published?.status === 'fulfilled' && Number(published.value) === 0) {
      // Checked before the errors of the commands: one server does not know the id of a client of the other.
      throw new SplitPathError();
    }
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        throw outcome.reason;
      }
    }
    await within(limitMs, arrival, 'messages of the data connection do not reach the subscriber', onDoubt);
  }

  private async requireRedirection(): Promise<void> {
    const asking = this.source.client('GETREDIR');
    const expected = await this.subscriberId?.id;
    const id = await asking.catch((error: unknown) => {
      ignoreReply(error); // the nonce and the subscriptions must be enough
      if (isForbidden(error)) {
        GETREDIR.forbid(this.source);
      }
      return expected;
    });
    if (id !== expected) {
      throw new BrokenPathError('the server no longer sends changes to the subscriber');
    }
  }

  /**
   * Does work that holds for the present two sockets only.
   * @param work receives a function to call after each step; it throws if one of the sockets has been replaced
   */
  private async onSameSockets(limitMs: number, work: (requireSame: () => void) => Promise<void>): Promise<void> {
    const { source, subscriber } = this;
    const [sourceSocket, subscriberSocket] = [source.stream, subscriber.stream];
    const requireSame = (): void => {
      if (!this.isOpen || source.stream !== sourceSocket || subscriber.stream !== subscriberSocket) {
        throw new BrokenPathError('a connection was lost meanwhile');
      }
    };
    requireSame();
    await within(limitMs, work(requireSame), 'the server does not answer in time');
    requireSame();
  }
}

/** The answer to a command; an error reply becomes a {@link RefusedCommandError}. */
async function replyTo(command: string, answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    // The reply itself may quote arguments.
    const reason = outageReason(error);
    throw isReply(error) ? new RefusedCommandError(command, `refused (${reason})`, reason) : error;
  }
}

function ignoreReply(error: unknown): void {
  if (!isReply(error)) {
    throw error;
  }
}

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

/**
 * Waits for `work`, no longer than `limitMs`, or somewhat longer when the process is busy.
 * @param onDoubt called when the time is over; the wait is then as long again
 * @throws BrokenPathError with the message `failure` when the time is over
 */
function within<Result>(
  limitMs: number,
  work: Promise<Result>,
  failure: string,
  onDoubt?: () => void,
): Promise<Result> {
  return withinDeadline(work, REAL_TIME, REAL_TIME.nowMs() + limitMs, () => {
    if (onDoubt === undefined) {
      throw new BrokenPathError(failure);
    }
    onDoubt();
    return within(limitMs, work, failure);
  });
}
