import type { AnsweringTier } from '../events/index.js';

/** There is nothing for this key. Not the same as a cached `undefined` or `null`, which is a hit. */
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
  /** What is left of its fresh life, in milliseconds; zero or less when stale. */
  readonly ttlMs: number;
}

export type Lookup<T> = Miss | Found<T>;

export const MISS: Miss = Object.freeze({ state: 'miss' });
