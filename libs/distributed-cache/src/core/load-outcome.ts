import type { AnsweringTier } from '../events/index.js';
import type { StoredValue } from '../local/index.js';

/** A value found in a tier. */
export interface FoundEntry {
  readonly tier: AnsweringTier;
  readonly stored: StoredValue;
  /** The rest of its fresh life, in milliseconds; zero or less when it is stale. */
  readonly ttlMs: number;
  readonly ageMs: number;
  /** How long its loader took, in milliseconds; 0 when that is unknown. */
  readonly loadMs: number;
  /** Its whole fresh life, in milliseconds. */
  readonly lifeMs: number;
}

/** The outcome of a flight: a tier had the value, or the loader made it. */
export type LoadOutcome =
  | {
      readonly source: 'tier';
      readonly stored: StoredValue;
      readonly tier: AnsweringTier;
      readonly state: 'fresh' | 'stale';
      readonly ttlMs: number;
    }
  | { readonly source: 'loader'; readonly stored: StoredValue; readonly kept: boolean; readonly hadStale: boolean };

/** The outcome of a flight that ends with a value of a tier. */
export function outcomeOf({ stored, tier, ttlMs }: FoundEntry): LoadOutcome {
  return { source: 'tier', stored, tier, state: ttlMs > 0 ? 'fresh' : 'stale', ttlMs };
}
