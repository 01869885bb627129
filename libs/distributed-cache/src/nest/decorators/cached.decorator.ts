import { type AsyncCache, Binding, type CacheKey, type DistributedCache } from '../../core/index.js';
import { type CachedOptions, checkOptions, DEFAULT_NAMESPACE, entryOptionsOf } from './decorator-options.js';
import { callerName, DefaultKeys, KeySuffix, keyWith } from './entry-keys.js';
import { RUNNING_LOADS, type RunningLoads } from './reentrancy.js';
import {
  type AnyMethod,
  type AsyncMethodDecorator,
  type QuickAnswer,
  type WrappedCall,
  wrapMethod,
} from './wrap-method.js';

/**
 * Caches the result of an asynchronous method. Concurrent calls with the same key share one run (single flight). An
 * error of the method reaches the caller as the same object; a fault of Redis never does. Works on providers,
 * controllers and resolvers of every scope. Each caller gets its own copy (see `values`).
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
  { namespace = DEFAULT_NAMESPACE, key, varyBy, version, ...options }: CachedOptions<Args, Result>,
): AsyncMethodDecorator<Args, Result> {
  checkOptions(decorator, { namespace, varyBy, version, ...options });
  const optionsOf = entryOptionsOf<Args, Result>(options);
  const isPlain = [key, varyBy, version, options.refreshAhead].every((option) => option === undefined);
  return (target, name, descriptor: PropertyDescriptor) => {
    const suffixes = new KeySuffix({ varyBy, version }, callerName(target, name));
    const binding = new Binding((application: DistributedCache) => ({
      cache: application.getCache<Result>(namespace),
      keys: new DefaultKeys(application, target.constructor, name),
      running: application.bound(RUNNING_LOADS),
    }));
    const call: WrappedCall = (application, instance, args, original) => {
      try {
        const { cache, keys, running } = application.bound(binding);
        const suffix = suffixes.of(cache);
        if (suffix === undefined) {
          return original.apply(instance, args);
        }
        const entryOptions = optionsOf(instance, args);
        if (key === undefined) {
          const defaultKey = keys.of(instance, args, suffix);
          return (
            cache.hit(defaultKey, entryOptions) ??
            cache.getOrSet(defaultKey, loaderOf<Result>(original, instance, args), entryOptions)
          );
        }
        const ownKey = keyWith(key.apply(instance, args as unknown as Args), suffix);
        if (running.includes(cache, ownKey)) {
          return original.apply(instance, args);
        }
        return (
          cache.hit(ownKey, entryOptions) ??
          cache.getOrSet(
            ownKey,
            trackedLoaderOf(running, cache, ownKey, loaderOf<Result>(original, instance, args)),
            entryOptions,
          )
        );
      } catch (error) {
        // The method is asynchronous: a refused key rejects the promise, as its other errors do.
        return Promise.reject(error);
      }
    };
    const quickAnswer: QuickAnswer = (application, instance, only) => {
      const { cache, keys } = application.bound(binding);
      const known = keys.known(instance, only);
      return known === undefined ? undefined : cache.hitAgain(known, options.values);
    };
    wrapMethod(decorator, target, name, descriptor, call, isPlain ? quickAnswer : undefined);
  };
}

/**
 * A separate function: a closure in the decorated call would cost every call a context on the heap, hits included.
 */
function loaderOf<Result>(original: AnyMethod, instance: object, args: unknown[]): () => Promise<Result> {
  return () => original.apply(instance, args) as Promise<Result>;
}

/** A loader that counts as a load under way while it runs. */
function trackedLoaderOf<Result>(
  running: RunningLoads,
  cache: AsyncCache<Result>,
  key: CacheKey,
  load: () => Promise<Result>,
): () => Promise<Result> {
  return () => running.run(cache, key, load);
}
