import { createCache, type Cache } from 'cache-manager';
import { Keyv } from 'keyv';
import type { DistributedCache } from '../../core/index.js';
import { CACHE_MANAGER_NAMESPACE } from './cache-manager-namespace.js';
import { KeyvCacheStore } from './keyv-store-adapter.js';

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
