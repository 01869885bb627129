import type { Stamp, EncodedPayload } from '../codec/index.js';
import type { AnsweringTier } from '../events/index.js';
import type { StoredValue, TagVersion } from '../local/index.js';
import type { RedisEntry, Sealing } from '../redis/index.js';
import type { EntryLife } from './entry-options.js';
import type { Lease } from './lease.js';
import { TierReplyError, TierUnavailableError, UnknownClassError } from '../errors/index.js';
import type { RedisRuntime } from './runtime.js';

/*
 * The results of lookups, loads and writes, which the parts of a namespace pass to each other.
 */

/** There is no value for this key. A cached `undefined` or `null` is a hit, not a miss. */
export interface Miss {
  readonly state: 'miss';
}

/** A value, fresh or (after its TTL, within its grace) stale. */
export interface Found<T> {
  readonly state: 'fresh' | 'stale';
  readonly value: T;
  /** The tier that has the value. */
  readonly tier: AnsweringTier;
  /** Time since the value was stored, in milliseconds. */
  readonly ageMs: number;
  /** The rest of its fresh life, in milliseconds; zero or less when stale. */
  readonly ttlMs: number;
}

/** The result of `AsyncCache.lookup`. */
export type Lookup<T> = Miss | Found<T>;

export const MISS: Miss = Object.freeze({ state: 'miss' });

export interface FoundEntry {
  readonly tier: AnsweringTier;
  readonly stored: StoredValue;
  /** The rest of its TTL, in milliseconds; zero or less when it is stale. */
  readonly ttlMs: number;
  readonly ageMs: number;
  /** How long its loader took, in milliseconds; 0 when that is unknown. */
  readonly loadMs: number;
  /** Its whole TTL, in milliseconds. */
  readonly fullTtlMs: number;
  /** Its size in Redis, with the head of the envelope; `undefined` for an entry of L1. */
  readonly storedBytes: number | undefined;
}

/** The result of a read of both tiers. */
export interface ReadResult {
  readonly found: FoundEntry | undefined;
  /**
   * The stamps that were current at this moment, for a load that begins now; `undefined` while Redis can't be asked.
   */
  readonly stamps: readonly Stamp[] | undefined;
  /** When the entry in Redis was made, if it does not count: it is of another version, or does not match its schema. */
  readonly refusedAtMs?: number;
}

/** The outcome of a load: a tier had the value, or the loader made it. */
export type LoadOutcome =
  | {
      readonly source: 'tier';
      readonly stored: StoredValue;
      readonly tier: AnsweringTier;
      readonly state: 'fresh' | 'stale';
      readonly ttlMs: number;
      readonly loadMs: number;
      readonly storedBytes: number | undefined;
    }
  | {
      readonly source: 'loader';
      readonly stored: StoredValue;
      readonly kept: boolean;
      /** Whether the calls that have joined may have the value too. */
      readonly isShareable: boolean;
      readonly hadStale: boolean;
    };

/** The outcome of a load that ends with a value of a tier. */
export function outcomeOf({ stored, tier, ttlMs, loadMs, storedBytes }: FoundEntry): LoadOutcome {
  return { source: 'tier', stored, tier, state: ttlMs > 0 ? 'fresh' : 'stale', ttlMs, loadMs, storedBytes };
}

/** The outcome of a write. */
export interface WrittenEntry {
  /** Whether a tier keeps the value. */
  readonly kept: boolean;
  /** Whether a later write or deletion came first, so that this value no longer counts. */
  readonly superseded: boolean;
  /** Whether Redis has the value; true when no Redis is configured. */
  readonly complete: boolean;
}

/** The outcome of a write of a loaded value. */
export interface WrittenLoad extends WrittenEntry {
  /** The value in the form that its readers get. */
  readonly stored: StoredValue;
}

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
  readonly sealing: Sealing;
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

type Operation = 'get' | 'set' | 'delete' | 'clear';

export interface FaultListener {
  onError(operation: Operation, error: Error): void;
  /** An operation was not sent, because the queue to Redis is full. Redis itself works. */
  onOverload(operation: Operation): void;
  /** A value is sent to be stored for so long, in milliseconds. */
  onSent(payload: EncodedPayload, lifeMs: number): void;
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
