import { TierReplyError } from '../errors/index.js';
import type { Refusals } from './refusals.js';
import { toTierError } from './reply-errors.js';
import { writeTogether, type RedisClient } from './redis-client.js';
import type { Line, ReplyListener } from './wire-command.js';

/**
 * Sends on a client, turns what it throws into our errors, and counts its answers as signs of life.
 *
 * A command for an idle connection is written at once. While others are unanswered, what is sent in one turn of the event loop
 * is written together: a hundred commands cost one system call instead of a hundred, in the order in which they were sent.
 */
export class CommandSender {
  /** Commands without an answer. */
  unanswered = 0;
  /** Answers so far, refusals included. */
  replies = 0;
  /** Moves when nothing that was sent before is waited for any more. */
  generation = 0;

  constructor(
    private readonly commandTimeoutMs: number,
    private readonly refusals: Refusals,
  ) {}

  send<Result>(
    client: RedisClient,
    operation: string,
    send: (client: RedisClient) => Promise<Result>,
    /** The connection that the command goes to, where `client` has several. */
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

  /** As {@link send}, on a line, for a listener. @param send must tell what becomes of it, once */
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

  /** Nobody waits for what was sent before: a client that loses its connection may drop it without a word. */
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
      this.refusals.succeed(operation); // whether a lease was refused is in the answer
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

/** Counts the answer to a command on its way to who waits for it. */
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

/** What can't even be sent fails as what is refused does. */
function begin<Result>(send: (client: RedisClient) => Promise<Result>, client: RedisClient): Promise<Result> {
  try {
    return send(client);
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error('unknown error of the client'));
  }
}
