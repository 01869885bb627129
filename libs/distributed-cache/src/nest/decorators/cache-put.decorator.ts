import type { CacheKey } from '../../core/index.js';
import {
  type CacheEvictOptions,
  type CommitHook,
  type OneOrMore,
  throughHook,
  wrapEvictions,
} from './cache-evict.decorator.js';
import { callOption, type CallProblems, OptionError } from './call-problems.js';
import { type CachedOptions, entryOptionsOf, type OptionSet, requireParentheses } from './decorator-options.js';
import { Declaration, type MethodParts } from './decorated-methods.js';
import { checkedKey } from './entry-keys.js';
import { type AsyncMethod, type Fits, wrapMethod } from './wrap-method.js';

/** The key of an entry that a method changes: from its arguments, or from its result as well. */
export type ChangedKey<Args extends unknown[], Result> =
  | {
      /** The key within the namespace: a text, or a key of `keyOf`. */
      key: (...args: Args) => CacheKey;
      resultKey?: undefined;
    }
  | {
      /** The key within the namespace, from the result of the method and its arguments. */
      resultKey: (result: Result, ...args: Args) => CacheKey;
      key?: undefined;
    };

/**
 * Options of `@CachePut`: those of `@Cached`, with a `key` (or `resultKey`) that the methods that read the entry use as
 * well.
 */
export type CachePutOptions<Args extends unknown[] = unknown[], Result = unknown> = Omit<
  CachedOptions<Args, Result>,
  'key' | 'keyPrefix' | 'refreshAhead' | 'refreshContext' | 'softTimeout' | 'hardTimeout' | 'staleIf'
> &
  ChangedKey<Args, Result> & {
    /**
     * Is given the storing, to run it when the transaction of the method has been committed, as in `@CacheEvict`. Default:
     * at once after the method.
     */
    after?: CommitHook;
    /**
     * Further entries to evict, such as the list that holds the new value: the options of `@CacheEvict`, or a list of
     * them. `condition` does not apply to them; each may have its own.
     */
    evict?: OneOrMore<CacheEvictOptions<Args, Result>>;
  };

const OPTIONS: OptionSet = {
  without: ['keyPrefix', 'warm', 'refreshAhead', 'refreshContext', 'softTimeout', 'hardTimeout', 'staleIf'],
  own: ['resultKey', 'evict', 'after'],
  oneOf: ['key', 'resultKey'],
};

/** The type that the compiler shows when the result of a `@CachePut` method can't be stored. */
interface MethodReturnsNothing {
  readonly 'A method with @CachePut must return the new value: its result is stored': never;
}

/** A decorator as `AsyncMethodDecorator`, for a method whose promise holds a value. */
export type ValueMethodDecorator<Args extends unknown[], Result> = <Method extends AsyncMethod>(
  target: object,
  name: string | symbol,
  descriptor: TypedPropertyDescriptor<Method> &
    Fits<Args, Result, Method> &
    (Awaited<ReturnType<Method>> extends void ? MethodReturnsNothing : unknown),
) => void;

/**
 * Always runs the method, and stores its result in the cache, so that the next read is a hit. When the method throws,
 * the cache is left as it is. When the result is not stored (`cacheIf` refuses it, or it is `undefined`), the entry is
 * deleted, because it is outdated. While Redis can't be used only this process has the new value. When a dimension of
 * `varyBy` is missing, or the key can't be computed, it is unknown which entry is outdated: the namespace is cleared,
 * and nothing is stored.
 */
export function CachePut<Args extends unknown[], Result = unknown>(
  given: CachePutOptions<Args, Result>,
): ValueMethodDecorator<Args, Result> {
  const decorator = 'CachePut';
  requireParentheses('CachePut(options)', given);
  return (target, name, descriptor: PropertyDescriptor) => {
    const method = new Declaration(decorator, 'write', target, name, given, OPTIONS);
    const binding = method.bind((parts: MethodParts<Result>, { key, resultKey, condition, after, ...options }) => ({
      ...parts,
      key,
      resultKey,
      condition,
      after,
      optionsOf: entryOptionsOf<Args, Result>(options),
    }));
    wrapMethod(decorator, target, name, descriptor, async (application, instance, args, original) => {
      const { cache, problems, suffixes, key, resultKey, condition, after, optionsOf } = application.bound(binding);
      const isMet = problems.meets(condition, instance, args as unknown as Args, 'result not stored');
      if (isMet === false) {
        return original.apply(instance, args);
      }
      const entryKey = (compute: () => CacheKey) =>
        problems.attempt('namespace cleared', () => {
          const suffix = suffixes.of(cache, instance);
          return suffix === undefined ? undefined : checkedKey(compute(), suffix, suffixes.caller);
        });
      const before = args.slice() as unknown as Args; // the method may change its arguments
      const ownKey = key && entryKey(() => callOption('key', key, instance, before));
      const entry = isMet && problems.attempt('result not stored', () => ({ options: optionsOf(instance, args) }));
      const result = (await original.apply(instance, args)) as Result;
      const cacheKey =
        resultKey === undefined
          ? ownKey
          : entryKey(() => callOption('resultKey', resultKey, instance, [result, ...before]));
      await throughHook(after, (): Promise<unknown> => {
        if (cacheKey === undefined) {
          return cache.clear();
        }
        return entry !== undefined && isStorable(result, problems)
          ? cache.set(cacheKey, result, entry.options)
          : cache.delete(cacheKey);
      });
      return result;
    });
    if (given.evict !== undefined) {
      wrapEvictions(`${decorator} evict`, target, name, descriptor, given.evict);
    }
  };
}

function isStorable(result: unknown, problems: CallProblems): boolean {
  if (result === undefined) {
    problems.report(
      new OptionError('It returned undefined. Return the new value, or use @CacheEvict.'),
      'result not stored',
    );
  }
  return result !== undefined;
}
