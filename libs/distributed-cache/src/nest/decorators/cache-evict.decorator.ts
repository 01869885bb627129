import {
  type AsyncCache,
  Binding,
  ConfigurationError,
  type DistributedCache,
  type Duration,
  type KeyOptions,
  prepareKey,
} from '../../core/index.js';
import { callOption, CallProblems, OptionError } from './call-problems.js';
import { checkOptions, DEFAULT_NAMESPACE, type InstanceKey, type OptionSet, tagsOf } from './decorator-options.js';
import { addDecoratedMethod } from './decorated-methods.js';
import { callerName, KeySuffix } from './entry-keys.js';
import { type AsyncMethodDecorator, wrapMethod } from './wrap-method.js';

interface EvictAlways extends KeyOptions {
  /** The namespace. Default `default`. */
  namespace?: string;
  /** Evicts before the method runs, so also when it throws. Default false: after it has succeeded. */
  before?: boolean;
  /** What distinguishes the instances of one class, as in the methods that read the entry. */
  instanceKey?: InstanceKey;
  /**
   * Is given the eviction, to run it when the transaction of the method has been committed, for instance
   * `runOnTransactionCommit`. When it throws, because there is no transaction, the eviction runs at once. Default: at
   * once after the method.
   */
  after?: (evict: () => Promise<void>) => unknown;
}

/** One of these names the entries; the others are not given. */
interface EvictedEntries<Args extends unknown[], Result> {
  /** The key to evict. */
  key: (...args: Args) => string;
  /** The keys to evict. */
  keys: (...args: Args) => readonly string[];
  /** The key to evict, from the result of the method and its arguments. */
  resultKey: (result: Result, ...args: Args) => string;
  /** Evicts every entry that carries one of these tags. */
  tags: readonly string[] | ((...args: Args) => readonly string[]);
  /** Evicts the whole namespace. */
  all: true;
}

type OneOf<Options> = {
  [Name in keyof Options]: Pick<Options, Name> & { [Other in Exclude<keyof Options, Name>]?: undefined };
}[keyof Options];

/** Options of `@CacheEvict`: one of `key`, `keys`, `resultKey`, `tags` and `all`. `resultKey` excludes `before`. */
export type CacheEvictOptions<Args extends unknown[] = unknown[], Result = unknown> = EvictAlways &
  OneOf<EvictedEntries<Args, Result>> &
  (
    | {
        /** How long loads of an evicted key are not kept either: for a source that lags behind. Default: not at all. */
        holdOff?: Duration;
        tags?: undefined;
        all?: undefined;
      }
    | { holdOff?: undefined }
  );

const OPTIONS: OptionSet = {
  only: ['namespace', 'key', 'tags', 'varyBy', 'version', 'instanceKey'],
  own: ['keys', 'resultKey', 'all', 'before', 'holdOff', 'after'],
  oneOf: ['key', 'keys', 'resultKey', 'tags', 'all'],
};

/**
 * Evicts entries after the method has succeeded (or before it runs): one key, several keys, the entries with some tags,
 * or the whole namespace. Resolves when Redis has acknowledged it; a fault of Redis is emitted as `tierError` and does
 * not reach the caller. `varyBy`, `version` and `instanceKey` belong to `key`, `keys` and `resultKey`. When a dimension
 * is missing, or a key or tag can't be computed, it is unknown which entry is meant, and the whole namespace is evicted:
 * too much, never too little.
 */
export function CacheEvict<Args extends unknown[] = unknown[], Result = unknown>(
  options: CacheEvictOptions<Args, Result>,
): AsyncMethodDecorator<Args, Result> {
  return (target, name, descriptor: PropertyDescriptor) => {
    const caller = callerName(target, name);
    checkOptions('CacheEvict', caller, options, OPTIONS);
    if (options.before === true && options.resultKey !== undefined) {
      const value = 'before with resultKey';
      throw new ConfigurationError([{ name: `${caller} @CacheEvict`, value, allowed: 'resultKey without before' }]);
    }
    const { namespace = DEFAULT_NAMESPACE, before = false, key, keys, resultKey } = options;
    addDecoratedMethod({
      ...options,
      decorator: 'CacheEvict',
      role: 'evict',
      namespace,
      name,
      declaring: target,
      key: key ?? keys ?? resultKey,
      hasDefaultKey: false,
    });
    const suffixes = new KeySuffix(options, caller);
    const binding = new Binding((application: DistributedCache) => ({
      cache: application.getCache(namespace),
      problems: new CallProblems(application, namespace, caller),
    }));
    wrapMethod('CacheEvict', target, name, descriptor, async (application, instance, args, original) => {
      const { cache, problems } = application.bound(binding);
      const { holdOff } = options;
      const call: EvictingCall<Args> = { cache, suffixes, instance, args: args.slice() as unknown as Args, holdOff };
      const prepare = (find: () => Eviction): Eviction =>
        problems.attempt('namespace cleared', find) ?? (() => cache.clear());
      // Before the method runs: it may change its arguments.
      const prepared = prepare(() => evictionOf(options, call));
      if (before) {
        await prepared();
        return original.apply(instance, args);
      }
      const result = (await original.apply(instance, args)) as Result;
      const evict =
        resultKey === undefined
          ? prepared
          : prepare(() =>
              deletionOf(call, () => [callOption('resultKey', resultKey, instance, [result, ...call.args])]),
            );
      await (options.after === undefined ? evict() : evictThrough(options.after, evict));
      return result;
    });
  };
}

/** Hands the eviction to the hook of the options; without a transaction it runs at once. */
async function evictThrough(after: NonNullable<EvictAlways['after']>, evict: Eviction): Promise<void> {
  try {
    await after(async () => void (await evict()));
  } catch {
    await evict(); // too much, never too little
  }
}

type Eviction = () => Promise<unknown>;

interface EvictingCall<Args extends unknown[]> {
  readonly cache: AsyncCache;
  readonly suffixes: KeySuffix;
  readonly instance: object;
  readonly args: Args;
  readonly holdOff: Duration | undefined;
}

/** What a call evicts, from its arguments; else the namespace. @throws if a key or a tag can't be computed */
function evictionOf<Args extends unknown[]>(
  { key, keys, tags }: CacheEvictOptions<Args, never>,
  call: EvictingCall<Args>,
): Eviction {
  const { cache, instance, args } = call;
  if (tags !== undefined) {
    const invalidated = typeof tags === 'function' ? tagsOf(tags, instance, args) : tags;
    return () => cache.invalidateTags(...invalidated);
  }
  if (keys !== undefined) {
    return deletionOf(call, () => callOption('keys', keys, instance, args));
  }
  return key === undefined ? () => cache.clear() : deletionOf(call, () => [callOption('key', key, instance, args)]);
}

/** The deletion of some keys; of the whole namespace when a dimension is missing. */
function deletionOf<Args extends unknown[]>(
  { cache, suffixes, instance, holdOff }: EvictingCall<Args>,
  keysOf: () => readonly string[],
): Eviction {
  const suffix = suffixes.of(cache, instance);
  if (suffix === undefined) {
    return () => cache.clear();
  }
  const keys: unknown = keysOf();
  if (!Array.isArray(keys)) {
    throw new OptionError('The option `keys` returned no list. Return a list of keys for all arguments.');
  }
  const evicted = (keys as string[]).map((one) => prepareKey(one, suffix, suffixes.caller));
  return () => cache.deleteMany(evicted, holdOff === undefined ? undefined : { holdOff });
}
