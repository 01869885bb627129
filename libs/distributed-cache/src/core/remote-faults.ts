import { TierReplyError, TierUnavailableError } from '../errors/index.js';
import type { RedisRuntime } from './cache-runtime.js';
import type { WriteOutcome } from './remote-contract.js';

export type Operation = 'get' | 'set' | 'delete' | 'clear';

/** Takes what a tier throws: tells of it, once, and says what it means for a write. */
export class RemoteFaults {
  constructor(
    private readonly connection: RedisRuntime['connection'],
    private readonly onError: (operation: Operation, error: Error) => void,
  ) {}

  /** A Redis that is known to be away is no news with every call: its loss has been told once. */
  report(operation: Operation, error: unknown): void {
    const isKnownOutage =
      error instanceof TierUnavailableError && (error.reason === 'breaker-open' || !this.connection.isLive);
    if (!isKnownOutage) {
      this.onError(operation, error instanceof Error ? error : new Error('unknown error of a tier'));
    }
  }

  async outcomeOf(operation: Operation, sending: Promise<unknown>): Promise<WriteOutcome> {
    try {
      await sending;
      return 'done';
    } catch (error) {
      return this.outcomeOfFailure(operation, error);
    }
  }

  outcomeOfFailure(operation: Operation, error: unknown): WriteOutcome {
    this.report(operation, error);
    if (error instanceof TierUnavailableError) {
      return 'unsent';
    }
    return error instanceof TierReplyError ? 'refused' : 'unknown';
  }
}
