import { TierReplyError } from '../errors/index.js';
import { servesNothing, toTierError } from './client-errors.js';
import { writeTogether, type RedisClient } from './redis-client.js';
import type { Refusals } from './refusals.js';
import type { ReplyListener, Send } from './send.js';

/** The server that a command is sent to. */
interface Receiver {
  readonly name: string;
  /** The connection that is written to, when the client has several. */
  readonly client: RedisClient | undefined;
  /** The server can't be used. */
  fail(reason: string): void;
}

/**
 * Sends commands on a client, turns the client's errors into this library's errors, and counts the commands without an
 * answer.
 *
 * A command for an idle connection is written at once. While others are unanswered, what is sent in one turn of the
 * event loop is written together: a hundred commands cost one system call instead of a hundred, in the order in which
 * they were sent.
 */
export class CommandSender {
  /** Number of commands without an answer. */
  unanswered = 0;
  /** Increases when answers to earlier commands stop counting: their connection is lost. */
  generation = 0;

  constructor(
    private readonly commandTimeoutMs: number,
    private readonly refusals: Refusals,
  ) {}

  /** Sends something and reports the outcome to the listener. */
  send<Result>(
    client: RedisClient,
    operation: string,
    send: Send<Result>,
    listener: ReplyListener<Result>,
    receiver: Receiver,
  ): void {
    if (this.unanswered > 0) {
      writeTogether(receiver.client ?? client);
    }
    this.unanswered++;
    const sent = new SentCommand<Result>(this, operation, listener, receiver);
    try {
      send(client, sent);
    } catch (error) {
      sent.onFailure(error);
    }
  }

  /** Resets the count of unanswered commands: a client that loses its connection may drop them without an answer. */
  startAnew(): void {
    this.unanswered = 0;
    this.generation++;
  }

  countAnswer(generation: number): void {
    if (generation === this.generation) {
      this.unanswered--;
    }
  }

  onSuccess(operation: string, { name }: Receiver): void {
    if (this.refusals.areAny && operation !== 'TAKE') {
      this.refusals.succeed(operation, name); // the reply says whether a lease was refused
    }
  }

  failureOf(operation: string, error: unknown, { name }: Receiver): Error {
    const tierError = toTierError(operation, error, this.commandTimeoutMs);
    if (tierError instanceof TierReplyError) {
      this.refusals.note(tierError, name);
    }
    return tierError;
  }
}

/** Counts the answer to a command, then passes it to the listener. */
class SentCommand<Reply> implements ReplyListener<Reply> {
  private readonly generation: number;

  constructor(
    private readonly sender: CommandSender,
    private readonly operation: string,
    private readonly listener: ReplyListener<Reply>,
    private readonly receiver: Receiver,
  ) {
    this.generation = sender.generation;
  }

  onReply(reply: Reply): void {
    this.sender.countAnswer(this.generation);
    this.sender.onSuccess(this.operation, this.receiver);
    this.listener.onReply(reply);
  }

  onFailure(error: unknown): void {
    this.sender.countAnswer(this.generation);
    const failure = this.sender.failureOf(this.operation, error, this.receiver);
    this.listener.onFailure(failure);
    if (failure instanceof TierReplyError && servesNothing(failure.reply)) {
      this.receiver.fail(failure.reply);
    }
  }
}
