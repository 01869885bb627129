import type { AnsweringTier } from '../events/index.js';

/** There is no value for this key. A cached `undefined` or `null` is a hit, not a miss. */
export interface Miss {
  readonly state: 'miss';
}

/** A value, fresh or (after its TTL, within its grace) stale. */
export interface Found<T> {
  readonly state: 'fresh' | 'stale';
  readonly value: T;
  readonly tier: AnsweringTier;
  /** Time since the value was stored, in milliseconds. */
  readonly ageMs: number;
  /** The rest of its fresh life, in milliseconds; zero or less when stale. */
  readonly ttlMs: number;
}

export type Lookup<T> = Miss | Found<T>;

export const MISS: Miss = Object.freeze({ state: 'miss' });
