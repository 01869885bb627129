import { createCache, type Cache } from 'cache-manager';
import { Keyv } from 'keyv';
import type { DistributedCache, DistributedCacheOptions } from '../../core/index.js';
import { KeyvCacheStore } from './keyv-store-adapter.js';

/**
 * The injection token of the cache-manager `Cache`. It equals that of `@nestjs/cache-manager`, so
 * `@Inject(CACHE_MANAGER)` and its `CacheInterceptor` work with either import.
 */
export const CACHE_MANAGER = 'CACHE_MANAGER';

/** The default namespace of entries that are stored through cache-manager. */
export const CACHE_MANAGER_NAMESPACE = 'cache-manager';

/** Options of {@link createCacheManager}. Times are in **milliseconds**, as in cache-manager. */
export interface CacheManagerOptions {
  /** TTL in milliseconds of a call without one; 0: no expiry. Default: the TTL of the namespace. */
  readonly ttl?: number;
  /** `wrap` refreshes in the background when less than this is left of the TTL, in milliseconds. Default: never. */
  readonly refreshThreshold?: number;
  /** The id of the cache. Default: a random one. */
  readonly cacheId?: string;
  /** The namespace of the entries. Default `cache-manager`. */
  readonly namespace?: string;
}

/**
 * Makes a cache-manager 7 `Cache` over the tiers of `cache`. Its entries are one namespace, in memory and in Redis,
 * with that namespace's TTL, policy and counters. Everything behaves as cache-manager documents, in **milliseconds**,
 * with these decisions:
 *
 * - values keep their types (`Date`, `Map`, `BigInt`, `Buffer`, ...), also from Redis;
 * - "no expiry" (`ttl` 0) is ten years, the longest TTL;
 * - `clear()` clears this namespace and nothing else;
 * - `disconnect()` closes nothing: the connection belongs to `cache`, whose `close()` (or the Nest module) ends it;
 * - no fault of Redis rejects a call: the local tier answers. Faults are emitted to `stores[0].on('error', ...)`.
 *
 * Give `cache` the options that `withCacheManagerDefaults` makes, so that a caller may change a value that it reads.
 */
export function createCacheManager(cache: DistributedCache, options: CacheManagerOptions = {}): Cache {
  const { namespace = CACHE_MANAGER_NAMESPACE, refreshThreshold, cacheId } = options;
  const tiers = cache.getCache(namespace);
  const { ttl = tiers.policy.ttlMs } = options;
  const store = new Keyv({
    store: new KeyvCacheStore(tiers, cache.events),
    ttl,
    namespace: undefined,
    useKeyPrefix: false,
    // The cache has its own codec; Keyv's would turn every value into JSON first.
    serialize: undefined,
    deserialize: undefined,
  });
  // cache-manager needs the TTL, too: `wrap(..., { raw: true })` returns an expiry that it calculates itself.
  return createCache({ stores: [store], ttl, refreshThreshold, cacheId });
}

/**
 * Adds the defaults that users of cache-manager expect for its namespace: callers may change a value that they read, so
 * each reader gets its own copy (`values: 'cloned'`). The application's options for this namespace have priority. An
 * argument that is not an object is returned as it is: the configuration reports it.
 */
export function withCacheManagerDefaults(options: DistributedCacheOptions = {}): DistributedCacheOptions {
  const { namespaces = {} } = options;
  if (!isObject(namespaces)) {
    return options;
  }
  const { [CACHE_MANAGER_NAMESPACE]: own = {} } = namespaces;
  if (!isObject(own)) {
    return options;
  }
  const { values = 'cloned' } = own;
  return { ...options, namespaces: { ...namespaces, [CACHE_MANAGER_NAMESPACE]: { ...own, values } } };
}

/** The types guarantee it; plain JavaScript and JSON files don't. */
function isObject<Value>(value: Value): value is Value & object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
