import { TierReplyError } from '../errors/index.js';
import type { Refusals } from './refusals.js';
import { toTierError } from './client-errors.js';
import { writeTogether, type RedisClient } from './redis-client.js';
import type { ReplyListener, Send } from './send.js';

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

  /**
   * Sends something and reports the outcome to the listener.
   * @param target the connection that is written to, when `client` has several
   */
  send<Result>(
    client: RedisClient,
    operation: string,
    send: Send<Result>,
    listener: ReplyListener<Result>,
    target: RedisClient = client,
  ): void {
    if (this.unanswered > 0) {
      writeTogether(target);
    }
    this.unanswered++;
    const sent = new SentCommand<Result>(this, operation, listener);
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

  onSuccess(operation: string): void {
    if (this.refusals.areAny && operation !== 'TAKE') {
      this.refusals.succeed(operation); // the reply says whether a lease was refused
    }
  }

  failureOf(operation: string, error: unknown): Error {
    const tierError = toTierError(operation, error, this.commandTimeoutMs);
    if (tierError instanceof TierReplyError) {
      this.refusals.note(tierError);
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
  ) {
    this.generation = sender.generation;
  }

  onReply(reply: Reply): void {
    this.sender.countAnswer(this.generation);
    this.sender.onSuccess(this.operation);
    this.listener.onReply(reply);
  }

  onFailure(error: unknown): void {
    this.sender.countAnswer(this.generation);
    this.listener.onFailure(this.sender.failureOf(this.operation, error));
  }
}
