import { createCache, type Cache } from 'cache-manager';
import { Keyv } from 'keyv';
import type { DistributedCache } from '../../core/index.js';
import { CACHE_MANAGER_NAMESPACE } from './cache-manager-namespace.js';
import { KeyvCacheStore } from './keyv-store-adapter.js';

/** Times are **milliseconds**, as cache-manager's are. */
export interface CacheManagerOptions {
  /** TTL in milliseconds where a call gives none; 0: no expiry. Default: the TTL of the namespace. */
  readonly ttl?: number;
  /** `wrap` refreshes in the background when less than this is left, in milliseconds. Default: never. */
  readonly refreshThreshold?: number;
  /** Default: a random one. */
  readonly cacheId?: string;
  /** Where the entries live. Default `cache-manager`. */
  readonly namespace?: string;
}

/**
 * A cache-manager 7 `Cache` over the tiers of `cache`: what it stores is one namespace of it, in memory and in Redis, with
 * that namespace's TTL, policy and counters. Everything behaves as cache-manager documents, in **milliseconds**, with these
 * decisions:
 *
 * - values keep their types (`Date`, `Map`, `BigInt`, `Buffer`, ...), also from Redis;
 * - "no expiry" (`ttl` 0) is ten years, the longest life that there is;
 * - `clear()` forgets this namespace and nothing else;
 * - `disconnect()` closes nothing: the connection belongs to `cache`, whose `close()` (or the Nest module) ends it;
 * - no fault of Redis rejects a call: the local tier answers. Listen to `stores[0].on('error', ...)` to hear of it.
 *
 * Give `cache` the options that `withCacheManagerDefaults` makes, so that a caller may change what it reads.
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
  // cache-manager gets the TTL too: `wrap(..., { raw: true })` answers with an expiry that it calculates itself.
  return createCache({ stores: [store], ttl, refreshThreshold, cacheId });
}
