import { TierReplyError } from '../errors/index.js';
import type { Refusals } from './refusals.js';
import { toTierError } from './reply-errors.js';
import { writeTogether, type RedisClient } from './redis-client.js';
import type { Line, ReplyListener } from './wire-command.js';

/**
 * Sends commands on a client, turns the client's errors into this library's errors, and counts the answers as signs of
 * life.
 *
 * A command for an idle connection is written at once. While others are unanswered, what is sent in one turn of the
 * event loop is written together: a hundred commands cost one system call instead of a hundred, in the order in which
 * they were sent.
 */
export class CommandSender {
  /** Number of commands without an answer. */
  unanswered = 0;
  /** Number of answers so far, refusals included. */
  replies = 0;
  /** Increases when answers to earlier commands stop counting: their connection is lost. */
  generation = 0;

  constructor(
    private readonly commandTimeoutMs: number,
    private readonly refusals: Refusals,
  ) {}

  send<Result>(
    client: RedisClient,
    operation: string,
    send: (client: RedisClient) => Promise<Result>,
    /** The connection that the command is sent on, when `client` has several. */
    target: RedisClient = client,
  ): Promise<Result> {
    if (this.unanswered > 0) {
      writeTogether(target);
    }
    this.unanswered++;
    const { generation } = this;
    return begin(send, client).then(
      (result) => {
        this.countAnswer(generation);
        this.onSuccess(operation);
        return result;
      },
      (error: unknown) => {
        this.countAnswer(generation);
        throw this.failureOf(operation, error);
      },
    );
  }

  /**
   * Sends a command on a line and reports the outcome to a listener, as {@link send} does with a promise.
   * @param send must report to its listener exactly once
   */
  sendOnLine<Reply>(
    line: Line,
    operation: string,
    send: (line: Line, listener: ReplyListener<Reply>) => void,
    listener: ReplyListener<Reply>,
  ): void {
    if (this.unanswered > 0) {
      writeTogether(line);
    }
    this.unanswered++;
    const sent = new SentCommand<Reply>(this, operation, listener);
    try {
      send(line, sent);
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
    this.replies++;
    if (this.refusals.areAny && operation !== 'TAKE') {
      this.refusals.succeed(operation); // the reply says whether a lease was refused
    }
  }

  failureOf(operation: string, error: unknown): Error {
    const tierError = toTierError(operation, error, this.commandTimeoutMs);
    if (tierError instanceof TierReplyError) {
      this.replies++;
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

/**
 * Calls `send`, and turns an exception into a rejection, so that a command that can't be sent fails as a refused one
 * does.
 */
function begin<Result>(send: (client: RedisClient) => Promise<Result>, client: RedisClient): Promise<Result> {
  try {
    return send(client);
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error('unknown error of the client'));
  }
}
