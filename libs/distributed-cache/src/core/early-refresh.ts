import type { EntryOptions } from './entry-options.js';

/** What an entry knows of its making. */
export interface Making {
  /** Its whole fresh life. */
  readonly lifeMs: number;
  /** How long its loader took. */
  readonly loadMs: number;
}

/** Beyond so many load times before the expiry XFetch would refresh once in half a billion hits: not worth a logarithm. */
export const XFETCH_HORIZON = 20;

/**
 * Whether a hit is to start a refresh: past `refreshAhead` of the TTL, or by default with XFetch's probability, which is
 * exponential in the remaining TTL over the load time.
 * @param ttlMs what is left of its fresh life
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

/** Entries that were loaded together shall not expire together: up to a hundredth of the TTL less, at most ten seconds. */
export function jitteredTtlMs(ttlMs: number, random: () => number): number {
  return Math.max(1, Math.round(ttlMs - (1 - random()) * Math.min(ttlMs * JITTER_PART, JITTER_MOST_MS)));
}
