import { encodeKey } from '../../core/index.js';
import { checkOptions } from './check-options.js';
import { DEFAULT_NAMESPACE, type CachedOptions } from './cached-options.js';
import { entryOptionsOf } from './entry-options-of.js';
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
 * the cache is left as it is. While Redis can't be used only this process sees the new value.
 */
export function CachePut<Args extends unknown[], Result = unknown>({
  namespace = DEFAULT_NAMESPACE,
  key,
  ...options
}: CachePutOptions<Args, Result>): AsyncMethodDecorator<Args, Result> {
  checkOptions('CachePut', { namespace, ...options });
  const { cacheIf } = options;
  const optionsOf = entryOptionsOf<Args, Result>(options);
  return (target, name, descriptor: PropertyDescriptor) => {
    wrapMethod('CachePut', target, name, descriptor, async (cache, instance, args, original) => {
      const cacheKey = key.apply(instance, args as unknown as Args);
      encodeKey(cacheKey); // a key that is none is refused here, not after the method has changed something
      const result = (await original.apply(instance, args)) as Result;
      if (cacheIf === undefined || cacheIf(result)) {
        await cache.getCache<Result>(namespace).set(cacheKey, result, optionsOf(instance, args));
      }
      return result;
    });
  };
}
