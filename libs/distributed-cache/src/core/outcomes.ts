import type { Stamp } from '../codec/index.js';
import type { AnsweringTier } from '../events/index.js';
import type { StoredValue } from '../local/index.js';

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

/** A value found in a tier. */
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
export function outcomeOf({ stored, tier, ttlMs }: FoundEntry): LoadOutcome {
  return { source: 'tier', stored, tier, state: ttlMs > 0 ? 'fresh' : 'stale', ttlMs };
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
