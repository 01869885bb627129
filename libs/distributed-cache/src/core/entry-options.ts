import { encodeKey } from '../keys/index.js';
import {
  areInOrder,
  type Duration,
  isDuration,
  type StandardSchemaV1,
  type ValidateMode,
  type ValuesMode,
  toMs,
  type ResolvedNamespace,
} from '../config/index.js';

/**
 * The argument of a loader: its signal, the stale value, and ways to control how the result is kept. It may be
 * destructured.
 */
export interface LoaderContext {
  /**
   * Aborted at `hardTimeout`, when the cache is closed, and when each call that waited has ended by its own `signal`:
   * pass it to the calls that the loader waits for.
   */
  readonly signal: AbortSignal;
  /** The value that is being replaced, when a stale one is still there. */
  readonly stale?: unknown;
  /** Sets the TTL of this run's result; it has priority over every other TTL. */
  readonly setTtl: (ttl: Duration) => void;
  /** Adds tags to this run's result, in addition to the tags of the options. */
  readonly addTags: (...tags: string[]) => void;
  /** Returns the result to the callers without storing it. */
  readonly skip: () => void;
}

/** Makes the value of a key. An error that it throws reaches the caller as the same object. */
export type Loader<T> = (context: LoaderContext) => T | Promise<T>;

/** The conditions under which a key is valid, besides its text. */
export interface KeyOptions {
  /**
   * Names of dimensions of the request (`tenant`, `locale`) that the value depends on: each of their values has an
   * entry of its own. They come from `CacheContext.run`, else from the `context` option; when one is missing, nothing
   * is cached. Refused with a `ConfigurationError` where encrypted values share a dictionary.
   */
  readonly varyBy?: readonly string[];
  /** The version of the code that makes the value. Entries of another version are not found. */
  readonly version?: string | number;
}

/** How one entry is kept. Options that are not given come from its namespace. */
export interface EntryOptions<T = unknown> extends KeyOptions {
  /**
   * How long the value is fresh; may be a function of the value, which must not be `async`. When the function throws or
   * returns no duration over 0, the value is returned and not stored (event `valueRefused`). `null` and `undefined` live
   * for the namespace's `emptyTtl` at most, unless the TTL is a function.
   */
  readonly ttl?: Duration | ((value: T) => Duration);
  /** How long the entry is kept after its TTL, to be returned when a loader fails. */
  readonly grace?: Duration;
  /** Tags of the entry: `invalidateTags` with one of them makes it a miss. */
  readonly tags?: readonly string[];
  /**
   * The part of the TTL (0 to 1, exclusive) after which a hit starts a refresh in the background. Default: the XFetch
   * rule, by which a refresh becomes the likelier the closer the expiry and the slower the loader (Vattani,
   * Chierichetti and Lowenstein, Optimal Probabilistic Cache Stampede Prevention, VLDB 2015).
   */
  readonly refreshAhead?: number;
  /**
   * Whether this call loads the value anew and stores it, although one is cached; see `DistributedCache.refresh`. Default
   * false.
   */
  readonly refresh?: boolean;
  /**
   * The asynchronous context of a refresh in the background. `own`: that of no request, so the loader sees no
   * `AsyncLocalStorage` of the request whose hit started it, such as its transaction, which may be over. `caller`: that
   * of the request. The dimensions of `varyBy` are there in both. Default `own`.
   */
  readonly refreshContext?: 'own' | 'caller';
  /**
   * If a load takes longer, whichever call began it, this call returns a stale value; the load goes on, and its result
   * is stored. It must not be longer than `hardTimeout`. Default: none.
   */
  readonly softTimeout?: Duration;
  /**
   * The longest wait of this call for a load: its own, one that it has joined or another process's. After that it
   * returns a stale value, or fails with a `LoaderTimeoutError`. Its own loader is given up at the same time. Default:
   * none.
   */
  readonly hardTimeout?: Duration;
  /**
   * Ends this call when it is aborted: the call rejects with the reason of the signal. The load goes on for the other
   * calls that wait for it; when none does, the signal of its loader is aborted. A value of L1 is returned all the same.
   * Default: none.
   */
  readonly signal?: AbortSignal;
  /**
   * Whether a stale value may be returned in place of this error of the loader; otherwise the error reaches the caller.
   * Default: for all errors.
   */
  readonly staleIf?: (error: unknown) => boolean;
  /**
   * The schema of the value, instead of the namespace's `schema`; it is checked when the value comes from Redis. A
   * value that does not match is a miss; one that matches is returned as the schema outputs it.
   */
  readonly schema?: StandardSchemaV1;
  /** With `both` the value is also checked before it is stored; one that does not match is returned and not stored. */
  readonly validate?: ValidateMode;
  /**
   * How this call gets the value: `cloned`, a copy of its own; `frozen`, one deep-frozen object that callers share;
   * `shared`, one object without protection. Calls of one key may differ, at the price of copies: the value is kept for
   * the mode of the call that stores it. Default: the namespace's.
   */
  readonly values?: ValuesMode;
  /**
   * Whether instances of classes that are neither registered nor declared are stored, and returned, as plain objects of
   * their own properties, or as the result of their `toJSON`; named properties of arrays, symbol keys and the like are
   * dropped. Default: the namespace's (false).
   */
  readonly flatten?: boolean;
  /**
   * Stores the value only when this returns true. It must not be `async`. When it throws, the value is returned and not
   * stored (event `valueRefused`). Default: always.
   */
  readonly cacheIf?: (value: T) => boolean;
}

/** Whether the options change the key. */
export function hasOwnKey({ varyBy, version }: KeyOptions): boolean {
  return varyBy !== undefined || version !== undefined;
}

const NO_TAGS: readonly string[] = Object.freeze([]);

/**
 * The names of tags as keys and entries carry them: encoded, without duplicates.
 * @throws CacheKeyError for a tag that is not a well-formed non-empty string
 */
export function tagNames(tags: readonly string[] | undefined): readonly string[] {
  return tags === undefined || tags.length === 0 ? NO_TAGS : [...new Set(tags.map(encodeKey))];
}

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
 * How long Redis will probably keep an entry (TTL and grace), in milliseconds, estimated before its value is known.
 * @throws RangeError for a value that is not a duration
 */
export function expectedKeptMs<T>(namespace: ResolvedNamespace, options: EntryOptions<T> | undefined): number {
  const { ttl, grace } = options ?? {};
  return (
    (ttl === undefined || typeof ttl === 'function' ? namespace.ttlMs : toMs(ttl)) +
    (grace === undefined ? namespace.graceMs : toMs(grace))
  );
}

/**
 * Checks the options of a call before its loader runs: a call whose loader has succeeded must not fail for an option.
 * @throws RangeError for a TTL that is not a positive duration, a grace that is none, a `refreshAhead` that is no part of
 * the TTL, and for a `softTimeout` that is longer than the `hardTimeout`
 */
export function checkLife(options: Omit<EntryOptions<never>, 'cacheIf'>): void {
  const { ttl, grace, refreshAhead, softTimeout, hardTimeout } = options;
  if (ttl !== undefined && typeof ttl !== 'function' && toMs(ttl) < 1) {
    throw new RangeError(`ttl must be longer than 0, got ${String(ttl)}`);
  }
  if (grace !== undefined) {
    toMs(grace);
  }
  if (refreshAhead !== undefined && !(refreshAhead > 0 && refreshAhead < 1)) {
    throw new RangeError(`refreshAhead must be a part of the TTL, over 0 and under 1, got ${refreshAhead}`);
  }
  if (!areInOrder(softTimeout, hardTimeout)) {
    throw new RangeError(
      `softTimeout (${softTimeout}) must not be longer than hardTimeout (${hardTimeout}): the call ends before it`,
    );
  }
}

/** The decision not to keep the result of a call that has succeeded. */
export class NotKept {
  /**
   * @param reason a mistake in the options; `undefined`: `cacheIf` has refused the value
   * @param error what a function of the options has thrown
   */
  constructor(
    readonly reason: string | undefined,
    readonly error?: unknown,
  ) {}

  static dueTo(mistake: string, error?: unknown): NotKept {
    return new NotKept(`The value is not cached: ${mistake}`, error);
  }
}

/**
 * Decides whether a value is kept, and its TTL and grace. The loader's `setTtl` has priority over the call's option, and
 * that over the namespace's. `null` and `undefined` live for `emptyTtl` at most; only `setTtl` and a `ttl` function give
 * them another TTL, because they know the result. A mistake of these functions is a reason not to keep the value, never
 * an error.
 * @throws RangeError for the mistakes that {@link checkLife} finds
 */
export function entryLife<T>(
  value: T,
  namespace: ResolvedNamespace,
  options: EntryOptions<T> | undefined,
  loaderTtl?: Duration,
): EntryLife | NotKept {
  if (options !== undefined) {
    checkLife(options);
  }
  const { ttl, grace, cacheIf } = options ?? {};
  const refusal = cacheIf && refusalOf(cacheIf, value);
  if (refusal !== undefined) {
    return refusal;
  }
  let ofResult = loaderTtl;
  try {
    ofResult ??= typeof ttl === 'function' ? ttl(value) : undefined;
  } catch (error) {
    return NotKept.dueTo(`ttl threw ${nameOf(error)}. Make it return a duration for every result`, error);
  }
  const graceMs = grace === undefined ? namespace.graceMs : toMs(grace);
  if (ofResult === undefined) {
    const isEmpty = value === null || value === undefined;
    const ttlMs = ttl === undefined || typeof ttl === 'function' ? namespace.ttlMs : toMs(ttl);
    return { ttlMs: isEmpty ? Math.min(namespace.emptyTtlMs, ttlMs) : ttlMs, graceMs };
  }
  if (!isDuration(ofResult)) {
    ignoreRejection(ofResult);
    return NotKept.dueTo('its ttl is not a duration. Return seconds, or a text with its unit');
  }
  const ttlMs = toMs(ofResult);
  return ttlMs < 1
    ? NotKept.dueTo('its ttl is not longer than 0. Return a longer one, or refuse the result with cacheIf')
    : { ttlMs, graceMs };
}

/** Why `cacheIf` refuses a value; `undefined` if it accepts the value. */
function refusalOf<T>(cacheIf: (value: T) => unknown, value: T): NotKept | undefined {
  try {
    const verdict = cacheIf(value);
    if (verdict instanceof Promise) {
      ignoreRejection(verdict);
      return NotKept.dueTo('cacheIf returned a promise, write a function that is not async');
    }
    return verdict ? undefined : new NotKept(undefined);
  } catch (error) {
    return NotKept.dueTo(`cacheIf threw ${nameOf(error)}. Make it return true or false for every result`, error);
  }
}

/** A function of the options that is async by mistake must not end the process by an unhandled rejection. */
function ignoreRejection(result: unknown): void {
  if (result instanceof Promise) {
    result.catch(() => {});
  }
}

/** The name of an error, without its message, which may quote the value. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

/** The times of an entry that early refresh needs. */
interface LoadCost {
  /** Its whole TTL, in milliseconds. */
  readonly fullTtlMs: number;
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
 * @param ttlMs the rest of its TTL, in milliseconds
 */
export function isRefreshDue(
  ttlMs: number,
  { fullTtlMs, loadMs }: LoadCost,
  options: Pick<EntryOptions, 'refreshAhead'> | undefined,
  random: () => number,
): boolean {
  const refreshAhead = options?.refreshAhead;
  if (refreshAhead !== undefined) {
    return fullTtlMs - ttlMs >= fullTtlMs * refreshAhead;
  }
  return ttlMs < loadMs * XFETCH_HORIZON && ttlMs <= -loadMs * Math.log(random());
}

const JITTER_PART = 0.01;
const MAX_JITTER_MS = 10_000;

/**
 * Shortens a TTL by a random part, so that entries that were loaded together do not expire together: up to a hundredth
 * of the TTL, at most ten seconds.
 */
export function jitteredTtlMs(ttlMs: number, random: () => number): number {
  return Math.max(1, Math.round(ttlMs - (1 - random()) * Math.min(ttlMs * JITTER_PART, MAX_JITTER_MS)));
}
