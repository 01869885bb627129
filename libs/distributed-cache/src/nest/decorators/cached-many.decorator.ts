import type { CacheKey } from '../../core/index.js';
import { callOption } from './call-problems.js';
import { type CachedOptions, entryOptionsOf, type OptionSet } from './decorator-options.js';
import { Declaration, type MethodParts } from './decorated-methods.js';
import { checkedKey } from './entry-keys.js';
import { ItemResults, MisplacedResults, type ResultForm } from './item-results.js';
import { type AsyncMethodDecorator, wrapMethod } from './wrap-method.js';

/** Options of `@CachedMany`: those of `@Cached`, with the key of one item. */
export type CachedManyOptions<Item, Rest extends unknown[], Result> = Omit<
  CachedOptions<[readonly Item[], ...Rest], Result>,
  'key' | 'keyPrefix'
> & {
  /** The key of one item within the namespace; the function also receives the method's further arguments. */
  key: (item: Item, ...rest: Rest) => string;
} & ResultForm<Item, Result>;

const OPTIONS: OptionSet = { without: ['keyPrefix'], own: ['by', 'returns'], oneOf: ['key'] };

/**
 * Caches, per item, a method that takes a list and returns a promise of the results. The method runs once, for the
 * items that are missing. Entries are the same as those of `@Cached` with the same namespace and keys.
 *
 * The method returns one result per item, in the same order; order and duplicates are kept. A method that returns only
 * the results that it finds, in any order (`WHERE id IN (…)`), needs `by`; the results are then returned in the order of
 * the items. With `returns: 'map'` it returns a `Map` of results by item. An item without a result is cached as `null`,
 * and left out of what is returned. An `Error` in the list is returned and not cached.
 *
 * When the results can't be matched with the items, nothing is cached, and the caller gets what the method returns
 * (event `decoratedCallUncached`).
 */
export function CachedMany<Item, Rest extends unknown[] = [], Result = unknown>(
  given: CachedManyOptions<Item, Rest, Result>,
): AsyncMethodDecorator<[readonly Item[], ...Rest], readonly Result[] | ReadonlyMap<Item, Result>> {
  type Args = [readonly Item[], ...Rest];
  const decorator = 'CachedMany';
  return (target, name, descriptor: PropertyDescriptor) => {
    const method = new Declaration(decorator, 'read', target, name, given, OPTIONS);
    const binding = method.bind((parts: MethodParts<Result | null>, options) => {
      const { key, by, returns, condition, cacheIf } = options;
      const cached = {
        ...options,
        cacheIf: (result: Result) => !(result instanceof Error) && (cacheIf?.(result) ?? true),
      };
      const optionsOf = entryOptionsOf<Args, Result | null>(cached as CachedOptions<Args, Result | null>);
      return { ...parts, key, form: { by, returns }, condition, optionsOf };
    });
    wrapMethod(decorator, target, name, descriptor, async (application, instance, args, original) => {
      const { cache, problems, suffixes, key, form, condition, optionsOf } = application.bound(binding);
      const [items, ...rest] = args as Args;
      if (!problems.meets(condition, instance, args as Args, 'not cached')) {
        return original.apply(instance, args);
      }
      const call = problems.attempt('not cached', () => {
        const suffix = suffixes.of(cache, instance);
        const keyOf = (item: Item): CacheKey =>
          checkedKey(callOption('key', key, instance, [item, ...rest]), suffix ?? '', suffixes.caller);
        return suffix === undefined
          ? undefined
          : { results: new ItemResults(items, keyOf, form), options: optionsOf(instance, args) };
      });
      if (call === undefined) {
        return original.apply(instance, args);
      }
      const { results, options: entryOptions } = call;
      const load = async (missing: string[]) =>
        results.place(missing, await original.apply(instance, [results.itemsOf(missing), ...rest]));
      try {
        return results.collect(await cache.getOrSetMany(results.keys, load, entryOptions));
      } catch (error) {
        if (!(error instanceof MisplacedResults)) {
          throw error;
        }
        problems.report(error, 'not cached');
        return results.whole === undefined ? original.apply(instance, args) : results.whole.returned;
      }
    });
  };
}
