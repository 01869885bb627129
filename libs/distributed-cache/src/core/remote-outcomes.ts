import type { EncodedPayload, Stamp } from '../codec/index.js';
import type { TagVersion } from '../local/index.js';
import type { RedisEntry } from '../redis/index.js';
import type { EntryLife } from './entry-options.js';
import type { Lease } from './lease.js';
import { TierReplyError, TierUnavailableError, UnknownClassError } from '../errors/index.js';
import type { RedisRuntime } from './runtime.js';

/** The result of a lookup in Redis. `unreachable`: Redis could not be asked. */
export type RemoteLookup =
  | { readonly state: 'unreachable' }
  | { readonly state: 'miss'; readonly stamps: readonly Stamp[] }
  | {
      readonly state: 'found';
      readonly entry: RedisEntry;
      readonly ttlMs: number;
      readonly ageMs: number;
      readonly stamps: readonly Stamp[];
      /** The entry's tags as they were when they were found to be current. */
      readonly tagVersions: readonly TagVersion[] | undefined;
    };

export const UNREACHABLE: RemoteLookup = Object.freeze({ state: 'unreachable' });

/**
 * The outcome of a write. `unsent`: Redis can't be used, and nothing was changed. `refused`: an error reply (`OOM`,
 * `READONLY`), so Redis still holds what it held before. `unknown`: the command was sent and never answered, so it may
 * take effect, now or later.
 */
export type WriteOutcome = 'done' | 'unsent' | 'refused' | 'unknown';

export interface RemoteWrite {
  readonly payload: EncodedPayload;
  readonly life: EntryLife;
  readonly loadMs: number;
  readonly stamps: readonly Stamp[];
}

export interface LeaseAttempt {
  readonly lookup: RemoteLookup;
  /** The lease that this load has taken; absent when another process is loading, or no lease was given. */
  readonly lease: Lease | undefined;
  /** The token of the load under way, as far as Redis says. */
  readonly owner: string | undefined;
  /** Whether no load may be stored for now. */
  readonly isHeldOff: boolean;
  /** Whether Redis gives no lease at all: waiting for one would be in vain. */
  readonly isRefused: boolean;
}

export type Operation = 'get' | 'set' | 'delete' | 'clear';

export interface FaultListener {
  onError(operation: Operation, error: Error): void;
  /** An operation was not sent, because the queue to Redis is full. Redis itself works. */
  onOverload(operation: Operation): void;
  /** An entry is a miss, because it holds an instance of a class that this process does not know. */
  onUnknownClass(className: string | undefined): void;
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
    if (error instanceof UnknownClassError) {
      this.listener.onUnknownClass(error.className);
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
