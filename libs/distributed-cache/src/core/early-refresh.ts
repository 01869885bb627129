import type { EntryOptions } from './entry-options.js';

/** The times of an entry that early refresh needs. */
export interface Making {
  /** Its whole fresh life, in milliseconds. */
  readonly lifeMs: number;
  /** How long its loader took, in milliseconds. */
  readonly loadMs: number;
}

/**
 * More than this many load times before the expiry, XFetch would refresh once in half a billion hits: that is not worth
 * a logarithm.
 */
export const XFETCH_HORIZON = 20;

/**
 * Whether a hit starts a refresh: past `refreshAhead` of the TTL, or by default with XFetch's probability, which is
 * exponential in the remaining TTL over the load time.
 * @param ttlMs the rest of its fresh life, in milliseconds
 */
export function isRefreshDue(
  ttlMs: number,
  { lifeMs, loadMs }: Making,
  options: Pick<EntryOptions, 'refreshAhead'> | undefined,
  random: () => number,
): boolean {
  const refreshAhead = options?.refreshAhead;
  if (refreshAhead !== undefined) {
    return lifeMs - ttlMs >= lifeMs * refreshAhead;
  }
  return ttlMs < loadMs * XFETCH_HORIZON && ttlMs <= -loadMs * Math.log(random());
}

const JITTER_PART = 0.01;
const JITTER_MOST_MS = 10_000;

/**
 * Shortens a TTL by a random part, so that entries that were loaded together do not expire together: up to a hundredth
 * of the TTL, at most ten seconds.
 */
export function jitteredTtlMs(ttlMs: number, random: () => number): number {
  return Math.max(1, Math.round(ttlMs - (1 - random()) * Math.min(ttlMs * JITTER_PART, JITTER_MOST_MS)));
}
