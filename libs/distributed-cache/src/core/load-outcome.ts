import type { AnsweringTier } from '../events/index.js';
import type { StoredValue } from '../local/index.js';

/** A value found in a tier. */
export interface FoundEntry {
  readonly tier: AnsweringTier;
  readonly stored: StoredValue;
  /** What is left of its fresh life, in milliseconds; zero or less: it is stale. */
  readonly ttlMs: number;
  readonly ageMs: number;
  /** How long its loader took, in milliseconds; 0: unknown. */
  readonly loadMs: number;
  /** Its whole fresh life, in milliseconds. */
  readonly lifeMs: number;
}

/** How a flight ended: a tier had the value, or the loader made it. */
export type LoadOutcome =
  | {
      readonly source: 'tier';
      readonly stored: StoredValue;
      readonly tier: AnsweringTier;
      readonly state: 'fresh' | 'stale';
      readonly ttlMs: number;
    }
  | { readonly source: 'loader'; readonly stored: StoredValue; readonly kept: boolean; readonly hadStale: boolean };

/** Of a flight that ends with what a tier has. */
export function outcomeOf({ stored, tier, ttlMs }: FoundEntry): LoadOutcome {
  return { source: 'tier', stored, tier, state: ttlMs > 0 ? 'fresh' : 'stale', ttlMs };
}
