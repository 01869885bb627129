import { toTierError } from './reply-errors.js';
import { writeTogether, type RedisClient } from './redis-client.js';

/**
 * Sends on a client, turns what it throws into our errors, and counts its answers as signs of life.
 *
 * A command for an idle connection is written at once. While others are unanswered, what is sent in one turn of the event loop
 * is written together: a hundred commands cost one system call instead of a hundred, in the order in which they were sent.
 */
export class CommandSender {
  private unanswered = 0;
  /** Answers so far, refusals included. */
  replies = 0;

  constructor(private readonly commandTimeoutMs: number) {}

  /** Whether there are commands without an answer. */
  get isBusy(): boolean {
    return this.unanswered > 0;
  }

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
    return begin(send, client).then(this.onAnswer as (result: Result) => Result, (error: unknown) => {
      this.unanswered--;
      const tierError = toTierError(operation, error, this.commandTimeoutMs);
      if (tierError.code === 'CACHE_TIER_REPLY') {
        this.replies++;
      }
      throw tierError;
    });
  }

  private readonly onAnswer = (result: unknown): unknown => {
    this.unanswered--;
    this.replies++;
    return result;
  };
}

/** What can't even be sent fails as what is refused does. */
function begin<Result>(send: (client: RedisClient) => Promise<Result>, client: RedisClient): Promise<Result> {
  try {
    return send(client);
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error('unknown error of the client'));
  }
}
