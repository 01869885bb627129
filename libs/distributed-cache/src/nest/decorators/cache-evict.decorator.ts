import { encodeKey, type AsyncCache, type Duration, type KeyOptions } from '../../core/index.js';
import { checkOptions, DEFAULT_NAMESPACE } from './decorator-options.js';
import { callerName, KeySuffix, keyWith } from './entry-keys.js';
import { type AsyncMethodDecorator, wrapMethod } from './wrap-method.js';

interface EvictAlways extends KeyOptions {
  /** The namespace. Default `default`. */
  namespace?: string;
  /** Evicts before the method runs, so also when it throws. Default false: after it has succeeded. */
  before?: boolean;
  /** How long loads of an evicted `key` are not kept either: for a source that lags behind. Default: not at all. */
  holdOff?: Duration;
  /**
   * Is given the eviction, to run it when the transaction of the method has been committed, for instance
   * `runOnTransactionCommit`. When it throws, because there is no transaction, the eviction runs at once. Default: at
   * once after the method.
   */
  after?: (evict: () => Promise<void>) => unknown;
}

/** Options of `@CacheEvict`: one of `key`, `keys`, `tags` and `all`. */
export type CacheEvictOptions<Args extends unknown[] = unknown[]> = EvictAlways &
  (
    | { /** The key to evict. */ key: (...args: Args) => string; keys?: undefined; tags?: undefined; all?: undefined }
    | {
        /** The keys to evict. */
        keys: (...args: Args) => readonly string[];
        key?: undefined;
        tags?: undefined;
        all?: undefined;
      }
    | {
        /** Evicts every entry that carries one of these tags. */
        tags: readonly string[] | ((...args: Args) => readonly string[]);
        key?: undefined;
        keys?: undefined;
        all?: undefined;
        holdOff?: undefined;
      }
    | {
        /** Evicts the whole namespace. */ all: true;
        key?: undefined;
        keys?: undefined;
        tags?: undefined;
        holdOff?: undefined;
      }
  );

/**
 * Evicts entries after the method has succeeded (or before it runs): one key, several keys, the entries with some tags,
 * or the whole namespace. Resolves when Redis has acknowledged it; a fault of Redis is emitted as `tierError` and does
 * not reach the caller. `varyBy` and `version` belong to `key` and `keys`. When a dimension is missing it is unknown
 * which entry is meant, and the whole namespace is evicted: too much, never too little.
 */
export function CacheEvict<Args extends unknown[] = unknown[]>(
  options: CacheEvictOptions<Args>,
): AsyncMethodDecorator<Args, unknown> {
  const { namespace = DEFAULT_NAMESPACE, before = false, varyBy, version, holdOff, after } = options;
  checkOptions('CacheEvict', { namespace, varyBy, version, holdOff });
  return (target, name, descriptor: PropertyDescriptor) => {
    const suffixes = new KeySuffix({ varyBy, version }, callerName(target, name));
    wrapMethod('CacheEvict', target, name, descriptor, async (application, instance, args, original) => {
      const cache = application.getCache(namespace);
      const evict = evictionOf(options, cache, suffixes, instance, args as unknown as Args);
      if (before) {
        await evict();
        return original.apply(instance, args);
      }
      const result = await original.apply(instance, args);
      await (after === undefined ? evict() : evictThrough(after, evict));
      return result;
    });
  };
}

/** Hands the eviction to the hook of the options; without a transaction it runs at once. */
async function evictThrough(after: NonNullable<EvictAlways['after']>, evict: () => Promise<unknown>): Promise<void> {
  try {
    await after(async () => void (await evict()));
  } catch {
    await evict(); // too much, never too little
  }
}

/**
 * Computes and checks the keys before the method runs: the method may change its arguments, and a wrong key must be
 * refused before the method changes anything.
 */
function evictionOf<Args extends unknown[]>(
  { key, keys, tags, all, holdOff }: CacheEvictOptions<Args>,
  cache: AsyncCache,
  suffixes: KeySuffix,
  instance: object,
  args: Args,
): () => Promise<unknown> {
  if (all === true) {
    return () => cache.clear();
  }
  if (tags !== undefined) {
    const invalidated = typeof tags === 'function' ? tags.apply(instance, args) : tags;
    invalidated.forEach(encodeKey);
    return () => cache.invalidateTags(...invalidated);
  }
  const suffix = suffixes.of(cache);
  if (suffix === undefined) {
    return () => cache.clear();
  }
  const named = keys === undefined ? [key?.apply(instance, args) ?? ''] : keys.apply(instance, args);
  const evicted = named.map((one) => keyWith(one, suffix));
  evicted.forEach(encodeKey);
  return () => cache.deleteMany(evicted, holdOff === undefined ? undefined : { holdOff });
}
