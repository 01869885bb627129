import { Binding, type DistributedCache, prepareKey } from '../../core/index.js';
import { callOption, CallProblems, OptionError } from './call-problems.js';
import {
  type CachedOptions,
  checkOptions,
  DEFAULT_NAMESPACE,
  entryOptionsOf,
  type OptionSet,
} from './decorator-options.js';
import { addDecoratedMethod } from './decorated-methods.js';
import { callerName, KeySuffix } from './entry-keys.js';
import { type AsyncMethod, type Fits, wrapMethod } from './wrap-method.js';

/** The key of an entry that a method changes: from its arguments, or from its result as well. */
export type ChangedKey<Args extends unknown[], Result> =
  | {
      /** The key within the namespace, from the arguments of the method. */
      key: (...args: Args) => string;
      resultKey?: undefined;
    }
  | {
      /** The key within the namespace, from the result of the method and its arguments. */
      resultKey: (result: Result, ...args: Args) => string;
      key?: undefined;
    };

/**
 * Options of `@CachePut`: those of `@Cached`, with a `key` (or `resultKey`) that the methods that read the entry use as
 * well.
 */
export type CachePutOptions<Args extends unknown[] = unknown[], Result = unknown> = Omit<
  CachedOptions<Args, Result>,
  'key' | 'keyPrefix' | 'refreshAhead' | 'softTimeout' | 'hardTimeout' | 'staleIf'
> &
  ChangedKey<Args, Result>;

const OPTIONS: OptionSet = {
  without: ['keyPrefix', 'refreshAhead', 'softTimeout', 'hardTimeout', 'staleIf'],
  own: ['resultKey'],
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
  return (target, name, descriptor: PropertyDescriptor) => {
    const caller = callerName(target, name);
    checkOptions('CachePut', caller, given, OPTIONS);
    const { namespace = DEFAULT_NAMESPACE, key, resultKey, varyBy, version, instanceKey, ...options } = given;
    addDecoratedMethod({
      ...given,
      decorator: 'CachePut',
      role: 'write',
      namespace,
      name,
      declaring: target,
      key: key ?? resultKey,
      hasDefaultKey: false,
    });
    const suffixes = new KeySuffix({ varyBy, version, instanceKey }, caller);
    const binding = new Binding((application: DistributedCache) => {
      const problems = new CallProblems(application, namespace, caller);
      return {
        cache: application.getCache<Result>(namespace),
        problems,
        optionsOf: entryOptionsOf<Args, Result>(options),
      };
    });
    wrapMethod('CachePut', target, name, descriptor, async (application, instance, args, original) => {
      const { cache, problems, optionsOf } = application.bound(binding);
      const entryKey = (compute: () => string) =>
        problems.attempt('namespace cleared', () => {
          const suffix = suffixes.of(cache, instance);
          return suffix === undefined ? undefined : prepareKey(compute(), suffix, caller);
        });
      const before = args.slice() as unknown as Args; // the method may change its arguments
      const ownKey = key && entryKey(() => callOption('key', key, instance, before));
      const entry = problems.attempt('result not stored', () => ({ options: optionsOf(instance, args) }));
      const result = (await original.apply(instance, args)) as Result;
      const cacheKey =
        resultKey === undefined
          ? ownKey
          : entryKey(() => callOption('resultKey', resultKey, instance, [result, ...before]));
      if (cacheKey === undefined) {
        await cache.clear();
      } else if (entry !== undefined && isStorable(result, problems)) {
        await cache.set(cacheKey, result, entry.options);
      } else {
        await cache.delete(cacheKey);
      }
      return result;
    });
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
