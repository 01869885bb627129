import {
  type AsyncCache,
  type CacheKey,
  ConfigurationError,
  type DistributedCache,
  type Duration,
  type KeyOptions,
} from '../../core/index.js';
import { callOption, OptionError } from './call-problems.js';
import { type InstanceKey, type OptionSet, requireParentheses, tagsOf } from './decorator-options.js';
import { Declaration, type MethodParts } from './decorated-methods.js';
import { callerName, checkedKey, type KeySuffix } from './entry-keys.js';
import { type AsyncMethodDecorator, wrapMethod } from './wrap-method.js';

/** Is given a change of the cache, and runs it when the transaction has been committed. */
export type CommitHook = (change: () => Promise<void>) => unknown;

interface EvictAlways<Args extends unknown[]> extends KeyOptions {
  /** The namespace. Default `default`. */
  namespace?: string;
  /** Evicts before the method runs, so also when it throws. Default false: after it has succeeded. */
  before?: boolean;
  /**
   * Whether a call evicts. It must not be `async`; when it throws, the call evicts: too much, never too little. Default:
   * always.
   */
  condition?: (...args: Args) => boolean;
  /** What distinguishes the instances of one class, as in the methods that read the entry. */
  instanceKey?: InstanceKey;
  /**
   * Is given the eviction, to run it when the transaction of the method has been committed, for instance
   * `runOnTransactionCommit`. When it throws, because there is no transaction, the eviction runs at once. Default: at
   * once after the method.
   */
  after?: CommitHook;
}

/** One of these names the entries; the others are not given. */
interface EvictedEntries<Args extends unknown[], Result> {
  /** The key to evict: a text, or a key of `keyOf`, to which `varyBy`, `version` and `instanceKey` are not added. */
  key: (...args: Args) => CacheKey;
  /** The keys to evict. */
  keys: (...args: Args) => readonly CacheKey[];
  /** The key to evict, from the result of the method and its arguments. */
  resultKey: (result: Result, ...args: Args) => CacheKey;
  /** Evicts every entry that carries one of these tags. */
  tags: readonly string[] | ((...args: Args) => readonly string[]);
  /** Evicts the whole namespace. */
  all: true;
}

type OneOf<Options> = {
  [Name in keyof Options]: Pick<Options, Name> & { [Other in Exclude<keyof Options, Name>]?: undefined };
}[keyof Options];

/** Options of `@CacheEvict`: one of `key`, `keys`, `resultKey`, `tags` and `all`. `resultKey` excludes `before`. */
export type CacheEvictOptions<Args extends unknown[] = unknown[], Result = unknown> = EvictAlways<Args> &
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
  only: ['namespace', 'key', 'condition', 'tags', 'varyBy', 'version', 'instanceKey'],
  own: ['keys', 'resultKey', 'all', 'before', 'holdOff', 'after'],
  oneOf: ['key', 'keys', 'resultKey', 'tags', 'all'],
  apart: [
    ['resultKey', 'before'],
    ['after', 'before'],
    ['holdOff', 'tags'],
    ['holdOff', 'all'],
  ],
};

/** The options of one, or a list for several. */
export type OneOrMore<Options> = Options | readonly Options[];

/**
 * Evicts entries after the method has succeeded (or before it runs): one key, several keys, the entries with some tags,
 * or the whole namespace; with a list of options, several of these at once, in any namespaces. Resolves when Redis has
 * acknowledged it; a fault of Redis is emitted as `tierError` and does not reach the caller. `varyBy`, `version` and
 * `instanceKey` belong to `key`, `keys` and `resultKey`. When a dimension is missing, or a key or tag can't be computed,
 * it is unknown which entry is meant, and the whole namespace is evicted: too much, never too little.
 */
export function CacheEvict<Args extends unknown[] = unknown[], Result = unknown>(
  // TypeScript up to 6 infers no parameters from a list where the type is that of one or a list.
  options: readonly CacheEvictOptions<Args, Result>[],
): AsyncMethodDecorator<Args, Result>;
export function CacheEvict<Args extends unknown[] = unknown[], Result = unknown>(
  options: CacheEvictOptions<Args, Result>,
): AsyncMethodDecorator<Args, Result>;
export function CacheEvict<Args extends unknown[], Result>(
  options: OneOrMore<CacheEvictOptions<Args, Result>>,
): AsyncMethodDecorator<Args, Result> {
  requireParentheses('CacheEvict(options)', options);
  return (target, name, descriptor: PropertyDescriptor) =>
    wrapEvictions('CacheEvict', target, name, descriptor, options);
}

/** What one call evicts before and after the method runs. */
interface CallEviction<Result> {
  readonly before?: Eviction;
  readonly after?: (result: Result) => Promise<unknown>;
}

/** Wraps a method so that it evicts entries. @throws ConfigurationError for wrong options */
export function wrapEvictions<Args extends unknown[], Result>(
  decorator: string,
  target: object,
  name: string | symbol,
  descriptor: PropertyDescriptor,
  given: OneOrMore<CacheEvictOptions<Args, Result>>,
): void {
  const evictions = isList(given)
    ? given.map((options, index) => declareEviction(`${decorator}[${index}]`, target, name, options))
    : [declareEviction(decorator, target, name, given)];
  if (evictions.length === 0) {
    const allowed = 'the options of one eviction, or a list of them';
    throw new ConfigurationError([
      { name: `${callerName(target, name)} @${decorator}`, value: 'an empty list', allowed },
    ]);
  }
  wrapMethod(decorator, target, name, descriptor, async (application, instance, args, original) => {
    const before = args.slice() as unknown as Args; // the method may change its arguments
    const ofCall = evictions.map((evictionFor) => evictionFor(application, instance, before));
    await Promise.all(ofCall.flatMap((eviction) => eviction.before?.() ?? []));
    const result = (await original.apply(instance, args)) as Result;
    await Promise.all(ofCall.flatMap((eviction) => eviction.after?.(result) ?? []));
    return result;
  });
}

function declareEviction<Args extends unknown[], Result>(
  decorator: string,
  target: object,
  name: string | symbol,
  given: CacheEvictOptions<Args, Result>,
): (application: DistributedCache, instance: object, args: Args) => CallEviction<Result> {
  const method = new Declaration<CacheEvictOptions<Args, Result>>(decorator, 'evict', target, name, given, OPTIONS);
  const binding = method.bind((parts: MethodParts<unknown>, options) => ({ ...parts, options }));
  return (application, instance, args) => {
    const { cache, problems, suffixes, options } = application.bound(binding);
    const { condition, before, after, resultKey, holdOff } = options;
    if (problems.meets(condition, instance, args, 'entries evicted') === false) {
      return {};
    }
    const call: EvictingCall<Args> = { cache, suffixes, instance, args, holdOff };
    const prepare = (find: () => Eviction): Eviction =>
      problems.attempt('namespace cleared', find) ?? (() => cache.clear());
    const ofResult = (key: NonNullable<typeof resultKey>, result: Result): Eviction =>
      prepare(() => deletionOf(call, () => [callOption('resultKey', key, instance, [result, ...args])]));
    const ofArguments = prepare(() => evictionOf(options, call));
    if (before === true) {
      return { before: ofArguments };
    }
    return {
      after: (result) => {
        const evict = resultKey === undefined ? ofArguments : ofResult(resultKey, result);
        return throughHook(after, evict);
      },
    };
  };
}

function isList<Options>(given: OneOrMore<Options>): given is readonly Options[] {
  return Array.isArray(given);
}

/** Hands a change to the hook `after` of the options; without a hook, or a transaction, it runs at once. */
export async function throughHook(after: CommitHook | undefined, change: () => Promise<unknown>): Promise<void> {
  if (after === undefined) {
    await change();
    return;
  }
  try {
    await after(async () => void (await change()));
  } catch {
    await change(); // too much, never too little
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
  keysOf: () => readonly CacheKey[],
): Eviction {
  const suffix = suffixes.of(cache, instance);
  if (suffix === undefined) {
    return () => cache.clear();
  }
  const keys: unknown = keysOf();
  if (!Array.isArray(keys)) {
    throw new OptionError('The option `keys` returned no list. Return a list of keys for all arguments.');
  }
  const evicted = (keys as CacheKey[]).map((one) => checkedKey(one, suffix, suffixes.caller));
  return () => cache.deleteMany(evicted, holdOff === undefined ? undefined : { holdOff });
}
