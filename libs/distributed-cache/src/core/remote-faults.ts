import { TierReplyError, TierUnavailableError } from '../errors/index.js';
import type { RedisRuntime } from './cache-runtime.js';
import type { WriteOutcome } from './remote-contract.js';

export type Operation = 'get' | 'set' | 'delete' | 'clear';

export interface FaultListener {
  onError(operation: Operation, error: Error): void;
  /** An operation was not sent, because the queue to Redis is full. Redis itself works. */
  onOverload(operation: Operation): void;
}

/** Handles the errors that a tier throws: reports each once, and decides what it means for a write. */
export class RemoteFaults {
  constructor(
    private readonly connection: RedisRuntime['connection'],
    private readonly listener: FaultListener,
  ) {}

  /**
   * Reports a fault. A Redis that is known to be unavailable is not reported with every call: its loss was reported
   * once.
   */
  report(operation: Operation, error: unknown): void {
    if (error instanceof TierUnavailableError && error.reason === 'overloaded') {
      this.listener.onOverload(operation);
      return;
    }
    const isKnownOutage =
      error instanceof TierUnavailableError && (error.reason === 'breaker-open' || !this.connection.isLive);
    if (!isKnownOutage) {
      this.listener.onError(operation, error instanceof Error ? error : new Error('unknown error of a tier'));
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
