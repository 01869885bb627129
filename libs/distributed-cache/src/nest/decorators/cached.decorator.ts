import type { Duration } from '../../core/index.js';
import { checkOptions } from './check-options.js';
import { defaultKey } from './default-key.js';
import { entryOptionsOf } from './entry-options-of.js';
import type { AsyncMethodDecorator } from './method-decorator.js';
import { isOwnLoad, runAsLoad } from './own-loads.js';
import { wrapMethod } from './wrap-method.js';

/** Options of `@Cached`. Functions are typed by the method: annotate their parameters as the method does. */
export interface CachedOptions<Args extends unknown[] = unknown[], Result = unknown> {
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

/**
 * Caches what an asynchronous method returns. Concurrent calls with the same key share one run. What the method throws
 * reaches the caller as the same object; a fault of Redis never does. Works on providers, controllers and resolvers of
 * every scope. The result is shared between callers and deep-frozen (see `values`).
 */
export function Cached<Args extends unknown[] = unknown[], Result = unknown>(
  options: CachedOptions<Args, Result> = {},
): AsyncMethodDecorator<Args, Result> {
  return cachedDecorator('Cached', options);
}

/** `@Cached` in the namespace `keywords`, fresh for 24 h (`CACHE_TTL_KEYWORDS`). */
export function CachedKeywords<Args extends unknown[] = unknown[], Result = unknown>(
  options: Omit<CachedOptions<Args, Result>, 'namespace'> = {},
): AsyncMethodDecorator<Args, Result> {
  return cachedDecorator('CachedKeywords', { ...options, namespace: 'keywords' });
}

/** `@Cached` in the namespace `metrics`, fresh for 12 h (`CACHE_TTL_METRICS`). */
export function CachedMetrics<Args extends unknown[] = unknown[], Result = unknown>(
  options: Omit<CachedOptions<Args, Result>, 'namespace'> = {},
): AsyncMethodDecorator<Args, Result> {
  return cachedDecorator('CachedMetrics', { ...options, namespace: 'metrics' });
}

/** `@Cached` in the namespace `trends`, fresh for 6 h (`CACHE_TTL_TRENDS`). */
export function CachedTrends<Args extends unknown[] = unknown[], Result = unknown>(
  options: Omit<CachedOptions<Args, Result>, 'namespace'> = {},
): AsyncMethodDecorator<Args, Result> {
  return cachedDecorator('CachedTrends', { ...options, namespace: 'trends' });
}

function cachedDecorator<Args extends unknown[], Result>(
  decorator: string,
  { namespace = DEFAULT_NAMESPACE, key, ...options }: CachedOptions<Args, Result>,
): AsyncMethodDecorator<Args, Result> {
  checkOptions(decorator, { namespace, ...options });
  const optionsOf = entryOptionsOf<Args, Result>(options);
  return (target, name, descriptor: PropertyDescriptor) => {
    // `async`: a key that is refused rejects, as everything else that goes wrong in an asynchronous method does.
    wrapMethod(decorator, target, name, descriptor, async (application, instance, args, original) => {
      const run = () => original.apply(instance, args) as Promise<Result>;
      const cache = application.getCache<Result>(namespace);
      if (key === undefined) {
        const defaultedKey = defaultKey(application, instance, target.constructor, name, args);
        return cache.getOrSet(defaultedKey, run, optionsOf(instance, args));
      }
      const ownKey = key.apply(instance, args as unknown as Args);
      return isOwnLoad(cache, ownKey)
        ? run()
        : cache.getOrSet(ownKey, () => runAsLoad(cache, ownKey, run), optionsOf(instance, args));
    });
  };
}
