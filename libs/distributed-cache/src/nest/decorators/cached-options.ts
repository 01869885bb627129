import type { Duration, KeyOptions, StandardSchemaV1, ValidateMode } from '../../core/index.js';

/** Options of `@Cached`. Functions are typed by the method: annotate their parameters as the method does. */
export interface CachedOptions<Args extends unknown[] = unknown[], Result = unknown> extends KeyOptions {
  /** Default `default`. */
  namespace?: string;
  /** How long the result is fresh; may depend on it. Default: the namespace's TTL. */
  ttl?: Duration | ((result: Result) => Duration);
  /** How long the result is kept after its TTL, to be returned when the method throws. Default: the namespace's. */
  grace?: Duration;
  /**
   * The key within the namespace. Default: class, method and typed arguments, such as `Users.find(42)`; an argument
   * that has no such encoding (a function, an instance without `toJSON`) throws a `CacheKeyError`.
   */
  key?: (...args: Args) => string;
  /** `invalidateTags` or `@CacheEvict({ tags })` with one of these makes the entry a miss; may depend on the arguments. */
  tags?: readonly string[] | ((...args: Args) => readonly string[]);
  /** What the result must be (zod, valibot, arktype), instead of the namespace's: a cached one that is not is a miss. */
  schema?: StandardSchemaV1<unknown, Result>;
  /** `both`: results are checked before they are cached, too; what does not fit is returned and not cached. Default: the namespace's. */
  validate?: ValidateMode;
  /** Caches the result only where this returns true. Default: always, `null` and `undefined` included. */
  cacheIf?: (result: Result) => boolean;
  /** The part of the TTL (0 to 1) after which a hit refreshes in the background. Default: by chance, close to the expiry (XFetch). */
  refreshAhead?: number;
  /** A stale result is returned if the method takes longer; it goes on, and what it returns is cached. Default: none. */
  softTimeout?: Duration;
  /** The method is no longer waited for after this time: a stale result, or a `LoaderTimeoutError`. Default: none. */
  hardTimeout?: Duration;
  /** Which errors of the method a stale result may stand in for. Default: all. */
  staleIf?: (error: unknown) => boolean;
}

/** The namespace of `@Cached()` without one. */
export const DEFAULT_NAMESPACE = 'default';
