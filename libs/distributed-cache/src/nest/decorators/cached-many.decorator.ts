import type { CacheKey } from '../../core/index.js';
import { callOption, OptionError } from './call-problems.js';
import { type CachedOptions, entryOptionsOf, type OptionSet, requireParentheses } from './decorator-options.js';
import { Declaration, type MethodParts } from './decorated-methods.js';
import { checkedKey } from './entry-keys.js';
import { type AsyncMethodDecorator, wrapMethod } from './wrap-method.js';

/** Options of `@CachedMany`: those of `@Cached`, with the key of one item. */
export type CachedManyOptions<Item, Rest extends unknown[], Result> = Omit<
  CachedOptions<[readonly Item[], ...Rest], Result>,
  'key' | 'keyPrefix' | 'warm'
> & {
  /** The key of one item within the namespace; the function also receives the method's further arguments. */
  key: (item: Item, ...rest: Rest) => string;
} & ResultForm<Item, Result>;

const OPTIONS: OptionSet = {
  without: ['keyPrefix', 'warm'],
  own: ['by', 'returns'],
  oneOf: ['key'],
  apart: [['by', 'returns']],
};

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
  requireParentheses('CachedMany(options)', given);
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

/** How the results of a method that takes a list belong to the items. Default: by their position. */
export type ResultForm<Item, Result> =
  | {
      /** The item to which a result belongs: for a method that returns only what it finds, or in another order. */
      by?: (result: Result) => Item;
      returns?: 'list';
    }
  | { /** The method returns a `Map` of results by item. */ returns: 'map'; by?: undefined };

/** The results of a method can't be matched with the items of the call. */
export class MisplacedResults extends OptionError {}

/** The items of one call, their keys, and the results of the method by key. */
export class ItemResults<Item, Result> {
  readonly keys: readonly CacheKey[];
  private readonly itemsByKey: ReadonlyMap<string, Item>;
  /** What the method returned, if it was called for every item of the call. */
  whole: { readonly returned: unknown } | undefined;

  /** @throws OptionError if the items are no list, and what `keyOf` throws */
  constructor(
    private readonly items: readonly Item[],
    private readonly keyOf: (item: Item) => CacheKey,
    private readonly form: {
      readonly by?: ((result: Result) => Item) | undefined;
      readonly returns?: string | undefined;
    },
  ) {
    if (!Array.isArray(items)) {
      throw new OptionError('Its first argument is no list. Pass a list, or use @Cached.');
    }
    this.keys = items.map((item: Item) => keyOf(item));
    this.itemsByKey = new Map(this.keys.map((key, index) => [String(key), items[index] as Item]));
  }

  itemsOf(keys: readonly string[]): (Item | undefined)[] {
    return keys.map((key) => this.itemsByKey.get(key));
  }

  /**
   * The results of the method in the order of `keys`; `null` for an item without a result.
   * @throws MisplacedResults if the results can't be matched with the items
   */
  place(keys: readonly string[], returned: unknown): (Result | null)[] {
    if (keys.length === this.items.length) {
      this.whole = { returned };
    }
    if (this.form.returns === 'map') {
      return inOrder(keys, this.byKeyOfMap(returned));
    }
    if (!Array.isArray(returned)) {
      throw new MisplacedResults(
        `It returned no list. Return a list${returned instanceof Map ? ", or write `returns: 'map'`" : ''}.`,
      );
    }
    if (this.form.by !== undefined) {
      return inOrder(keys, this.byKeyOfRow(returned as Result[], this.form.by));
    }
    if (returned.length !== keys.length) {
      throw new MisplacedResults(
        `It returned ${returned.length} results for ${keys.length} items. Write \`by: (result) => item\`, or return one result for each item.`,
      );
    }
    this.refuseOtherOrder(keys, returned);
    return returned as Result[];
  }

  /** What the caller gets, from the results in the order of {@link keys}. */
  collect(results: readonly (Result | null)[]): readonly (Result | null)[] | ReadonlyMap<Item, Result> {
    if (this.form.returns === 'map') {
      const entries = results.flatMap((result, index) =>
        result === null ? [] : [[this.items[index] as Item, result] as const],
      );
      return new Map(entries);
    }
    return this.form.by === undefined ? results : results.filter((result) => result !== null);
  }

  private byKeyOfMap(returned: unknown): Map<string, Result> {
    if (!(returned instanceof Map)) {
      throw new MisplacedResults("It returned no Map. Return a Map, or leave out `returns: 'map'`.");
    }
    return new Map(Array.from(returned as Map<Item, Result>, ([item, result]) => [String(this.keyOf(item)), result]));
  }

  private byKeyOfRow(rows: readonly Result[], by: (result: Result) => Item): Map<string, Result> {
    try {
      return new Map(
        rows.filter((row) => row !== null && row !== undefined).map((row) => [String(this.keyOf(by(row))), row]),
      );
    } catch (error) {
      throw new MisplacedResults(
        `The option \`by\` threw ${error instanceof Error ? error.name : typeof error}. Return the item of every result.`,
      );
    }
  }

  /** Refuses rows with an `id` whose ids are the items in another order: each would be cached under another's key. */
  private refuseOtherOrder(keys: readonly string[], rows: readonly unknown[]): void {
    const wanted = this.itemsOf(keys).map(String);
    const ids = rows.map(idOf);
    const isReordered =
      ids.every((id) => id !== undefined && wanted.includes(id)) && ids.some((id, index) => id !== wanted[index]);
    if (isReordered) {
      throw new MisplacedResults(
        'The ids of its results are the items in another order. Write `by: (result) => result.id`.',
      );
    }
  }
}

function inOrder<Result>(keys: readonly string[], results: ReadonlyMap<string, Result>): (Result | null)[] {
  return keys.map((key) => results.get(key) ?? null);
}

/** The `id` of a row, as a text; `undefined` if it has none. */
function idOf(row: unknown): string | undefined {
  const { id } = (row ?? {}) as { readonly id?: unknown };
  return typeof id === 'string' || typeof id === 'number' || typeof id === 'bigint' ? String(id) : undefined;
}
