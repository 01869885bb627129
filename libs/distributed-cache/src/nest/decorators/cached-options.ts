import type { Duration, EntryOptions, KeyOptions, StandardSchemaV1, ValidateMode } from '../../core/index.js';

/** Options of `@Cached`. The types of functions follow the method: annotate their parameters as the method does. */
export interface CachedOptions<Args extends unknown[] = unknown[], Result = unknown> extends KeyOptions {
  /** The namespace. Default `default`. */
  namespace?: string;
  /** How long the result is fresh; may be a function of the result. Default: the namespace's TTL. */
  ttl?: Duration | ((result: Result) => Duration);
  /** How long the result is kept after its TTL, to be returned when the method throws. Default: the namespace's. */
  grace?: Duration;
  /**
   * The key within the namespace. Default: class, method and typed arguments, such as `Users.find(42)`; an argument
   * that has no such encoding (a function, an instance without `toJSON`) throws a `CacheKeyError`.
   */
  key?: (...args: Args) => string;
  /**
   * `invalidateTags` or `@CacheEvict({ tags })` with one of these makes the entry a miss; may be a function of the
   * arguments.
   */
  tags?: readonly string[] | ((...args: Args) => readonly string[]);
  /**
   * The schema of the result (zod, valibot, arktype), instead of the namespace's: a cached result that does not match
   * is a miss.
   */
  schema?: StandardSchemaV1<unknown, Result>;
  /**
   * With `both` results are also checked before they are cached; one that does not match is returned and not cached.
   * Default: the namespace's.
   */
  validate?: ValidateMode;
  /** Caches the result only when this returns true. Default: always, `null` and `undefined` included. */
  cacheIf?: (result: Result) => boolean;
  /**
   * The part of the TTL (0 to 1) after which a hit refreshes in the background. Default: with a probability that rises
   * towards the expiry (XFetch).
   */
  refreshAhead?: number;
  /**
   * If the method takes longer, a stale result is returned; the method goes on, and its result is cached. Default:
   * none.
   */
  softTimeout?: Duration;
  /**
   * The longest wait for the method: after it a stale result is returned, or the call fails with a
   * `LoaderTimeoutError`. Default: none.
   */
  hardTimeout?: Duration;
  /** Whether a stale result may be returned in place of this error of the method. Default: for all errors. */
  staleIf?: (error: unknown) => boolean;
}

/** The namespace of `@Cached()` without one. */
export const DEFAULT_NAMESPACE = 'default';

/** The options of one call. Built once for all calls, unless the tags depend on the arguments. */
export function entryOptionsOf<Args extends unknown[], Result>({
  tags,
  ttl,
  grace,
  cacheIf,
  refreshAhead,
  softTimeout,
  hardTimeout,
  staleIf,
  schema,
  validate,
}: Omit<CachedOptions<Args, Result>, 'key' | 'namespace'>): (
  instance: object,
  args: unknown[],
) => EntryOptions<Result> | undefined {
  const common: EntryOptions<Result> = {
    ttl,
    grace,
    cacheIf,
    refreshAhead,
    softTimeout,
    hardTimeout,
    staleIf,
    schema,
    validate,
  };
  if (typeof tags === 'function') {
    return (instance, args) => ({ ...common, tags: tags.apply(instance, args as unknown as Args) });
  }
  const always = tags === undefined ? common : { ...common, tags };
  const options = Object.values(always).every((value) => value === undefined) ? undefined : always;
  return () => options;
}
