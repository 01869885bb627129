import { encodeKey } from '../../core/index.js';
import { checkOptions } from './check-options.js';
import { DEFAULT_NAMESPACE, type CachedOptions } from './cached-options.js';
import { entryOptionsOf } from './entry-options-of.js';
import { callerName, KeySuffix, keyWith } from './key-suffix.js';
import type { AsyncMethodDecorator } from './method-decorator.js';
import { wrapMethod } from './wrap-method.js';

/** Options of `@CachePut`: as `@Cached`, with a `key` that the methods reading the entry use as well. */
export type CachePutOptions<Args extends unknown[] = unknown[], Result = unknown> = Omit<
  CachedOptions<Args, Result>,
  'key' | 'refreshAhead' | 'softTimeout' | 'hardTimeout' | 'staleIf'
> &
  Required<Pick<CachedOptions<Args, Result>, 'key'>>;

/**
 * Runs the method always and puts what it returns into the cache, so that the next read has it. When the method throws,
 * the cache is left as it is. While Redis can't be used only this process sees the new value. Where a dimension of `varyBy` is
 * missing there is no telling which entry is outdated: the namespace is cleared, and nothing put.
 */
export function CachePut<Args extends unknown[], Result = unknown>({
  namespace = DEFAULT_NAMESPACE,
  key,
  varyBy,
  version,
  ...options
}: CachePutOptions<Args, Result>): AsyncMethodDecorator<Args, Result> {
  checkOptions('CachePut', { namespace, varyBy, version, ...options });
  const { cacheIf } = options;
  const optionsOf = entryOptionsOf<Args, Result>(options);
  return (target, name, descriptor: PropertyDescriptor) => {
    const suffixes = new KeySuffix({ varyBy, version }, callerName(target, name));
    wrapMethod('CachePut', target, name, descriptor, async (application, instance, args, original) => {
      const cache = application.getCache<Result>(namespace);
      const suffix = suffixes.of(cache);
      if (suffix === undefined) {
        const unplaced = await original.apply(instance, args);
        await cache.clear();
        return unplaced;
      }
      const cacheKey = keyWith(key.apply(instance, args as unknown as Args), suffix);
      encodeKey(cacheKey); // a key that is none is refused here, not after the method has changed something
      const result = (await original.apply(instance, args)) as Result;
      if (cacheIf === undefined || cacheIf(result)) {
        await cache.set(cacheKey, result, optionsOf(instance, args));
      }
      return result;
    });
  };
}
