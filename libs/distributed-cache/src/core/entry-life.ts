import { toMs, type Duration, type ResolvedNamespace } from '../config/index.js';
import type { EntryOptions } from './entry-options.js';

/** The lives of one entry, in milliseconds. */
export interface EntryLife {
  readonly ttlMs: number;
  readonly graceMs: number;
}

/**
 * Turns the argument of a method that takes a TTL or entry options into options. In plain JavaScript it may be `null`.
 */
export function optionsWith<T>(ttl: Duration | EntryOptions<T> | undefined): EntryOptions<T> {
  return typeof ttl === 'object' && ttl !== null ? ttl : { ttl };
}

/**
 * How long an entry will probably be in Redis, in milliseconds, estimated before its value is known.
 * @throws RangeError for a value that is not a duration
 */
export function expectedLifeMs<T>(namespace: ResolvedNamespace, options: EntryOptions<T> | undefined): number {
  const { ttl, grace } = options ?? {};
  return (
    (ttl === undefined || typeof ttl === 'function' ? namespace.ttlMs : toMs(ttl)) +
    (grace === undefined ? namespace.graceMs : toMs(grace))
  );
}

/**
 * Decides an entry's TTL and grace. The loader's `setTtl` has priority over the call's option, and that over the
 * namespace's. `null` and `undefined` live for `emptyTtl` unless the loader or the call gives a TTL.
 * @throws RangeError for a TTL that is not a positive duration
 */
export function entryLife<T>(
  value: T,
  namespace: ResolvedNamespace,
  options: EntryOptions<T> | undefined,
  loaderTtl?: Duration,
): EntryLife {
  const { ttl, grace } = options ?? {};
  const chosen = loaderTtl ?? (typeof ttl === 'function' ? ttl(value) : ttl);
  const isEmpty = value === null || value === undefined;
  const ttlMs =
    chosen === undefined ? (isEmpty ? Math.min(namespace.emptyTtlMs, namespace.ttlMs) : namespace.ttlMs) : toMs(chosen);
  if (ttlMs < 1) {
    throw new RangeError(`ttl must be longer than 0, got ${String(chosen)}`);
  }
  return { ttlMs, graceMs: grace === undefined ? namespace.graceMs : toMs(grace) };
}

/** The times of an entry that early refresh needs. */
export interface LoadCost {
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
  { lifeMs, loadMs }: LoadCost,
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
