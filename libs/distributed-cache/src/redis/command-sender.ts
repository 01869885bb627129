import { toTierError } from './reply-errors.js';
import type { RedisClient } from './redis-client.js';

/** Sends on a client, turns what it throws into our errors, and counts its answers as signs of life. */
export class CommandSender {
  /** Answers so far, refusals included. */
  replies = 0;

  constructor(private readonly commandTimeoutMs: number) {}

  async send<Result>(
    client: RedisClient,
    operation: string,
    send: (client: RedisClient) => Promise<Result>,
  ): Promise<Result> {
    try {
      const result = await send(client);
      this.replies++;
      return result;
    } catch (error) {
      const tierError = toTierError(operation, error, this.commandTimeoutMs);
      if (tierError.code === 'CACHE_TIER_REPLY') {
        this.replies++;
      }
      throw tierError;
    }
  }
}
