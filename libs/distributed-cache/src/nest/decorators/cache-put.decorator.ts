import { encodeKey } from '../../core/index.js';
import { type CachedOptions, checkOptions, DEFAULT_NAMESPACE, entryOptionsOf } from './decorator-options.js';
import { callerName, KeySuffix, keyWith } from './entry-keys.js';
import { type AsyncMethodDecorator, wrapMethod } from './wrap-method.js';

/** Options of `@CachePut`: those of `@Cached`, with a `key` that the methods that read the entry use as well. */
export type CachePutOptions<Args extends unknown[] = unknown[], Result = unknown> = Omit<
  CachedOptions<Args, Result>,
  'key' | 'refreshAhead' | 'softTimeout' | 'hardTimeout' | 'staleIf'
> &
  Required<Pick<CachedOptions<Args, Result>, 'key'>>;

/**
 * Always runs the method, and stores its result in the cache, so that the next read is a hit. When the method throws,
 * the cache is left as it is. While Redis can't be used only this process has the new value. When a dimension of
 * `varyBy` is missing it is unknown which entry is outdated: the namespace is cleared, and nothing is stored.
 */
export function CachePut<Args extends unknown[], Result = unknown>({
  namespace = DEFAULT_NAMESPACE,
  key,
  varyBy,
  version,
  ...options
}: CachePutOptions<Args, Result>): AsyncMethodDecorator<Args, Result> {
  checkOptions('CachePut', { namespace, varyBy, version, ...options });
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
      encodeKey(cacheKey); // a wrong key is refused here, before the method has changed anything
      const entryOptions = optionsOf(instance, args); // the method may change its arguments
      const result = (await original.apply(instance, args)) as Result;
      await cache.set(cacheKey, result, entryOptions);
      return result;
    });
  };
}
