import { type CachedOptions, checkOptions, DEFAULT_NAMESPACE, entryOptionsOf } from './decorator-options.js';
import { callerName, KeySuffix, keyWith } from './entry-keys.js';
import { type AsyncMethodDecorator, wrapMethod } from './wrap-method.js';

/** Options of `@CachedMany`: those of `@Cached`, with the key of one item. */
export type CachedManyOptions<Item, Rest extends unknown[], Result> = Omit<
  CachedOptions<[readonly Item[], ...Rest], Result>,
  'key' | 'tags'
> & {
  /** The key of one item within the namespace; the function also receives the method's further arguments. */
  key: (item: Item, ...rest: Rest) => string;
  /** Tags of every entry. */
  tags?: readonly string[];
};

/**
 * Caches, per item, a method that takes a list and returns a promise of the results in the same order. The method runs
 * once, for the items that are missing. Order and duplicates are kept. Entries are the same as those of `@Cached` with
 * the same namespace and keys.
 */
export function CachedMany<Item, Rest extends unknown[] = [], Result = unknown>({
  namespace = DEFAULT_NAMESPACE,
  key,
  varyBy,
  version,
  ...options
}: CachedManyOptions<Item, Rest, Result>): AsyncMethodDecorator<[readonly Item[], ...Rest], readonly Result[]> {
  checkOptions('CachedMany', { namespace, varyBy, version, ...options });
  const optionsOf = entryOptionsOf<[readonly Item[], ...Rest], Result>(options);
  return (target, name, descriptor: PropertyDescriptor) => {
    const suffixes = new KeySuffix({ varyBy, version }, callerName(target, name));
    wrapMethod('CachedMany', target, name, descriptor, async (application, instance, args, original) => {
      const [items, ...rest] = args as [readonly Item[], ...Rest];
      if (!Array.isArray(items)) {
        throw new TypeError(`The first argument of ${String(name)} must be an array: it is decorated with @CachedMany`);
      }
      const cache = application.getCache<Result>(namespace);
      const suffix = suffixes.of(cache);
      if (suffix === undefined) {
        return original.apply(instance, args);
      }
      const keys = items.map((item: Item) => keyWith(key.apply(instance, [item, ...rest]), suffix));
      const itemsByKey = new Map(keys.map((itemKey, index) => [String(itemKey), items[index] as Item]));
      const load = (missing: string[]) =>
        original.apply(instance, [missing.map((itemKey) => itemsByKey.get(itemKey)), ...rest]) as Promise<Result[]>;
      return cache.getOrSetMany(keys, load, optionsOf(instance, args));
    });
  };
}
