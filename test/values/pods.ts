import type { AsyncCache, DistributedCacheOptions, NamespaceOptions } from 'nestjs-distributed-cache/core';
import { cacheForTest } from '../support/cache-for-test.js';
import { redisForTest, type RedisForTest } from '../support/redis-for-test.js';

export interface Pods {
  readonly redis: RedisForTest;
  /** Two processes over one Redis, as far as the cache can tell: each has an L1 of its own. */
  readonly one: AsyncCache;
  readonly two: AsyncCache;
  /** Opens a further process. */
  readonly open: () => AsyncCache;
  /** The values that the cache could not store or read, in order. */
  readonly complaints: string[];
  /** The full name of a key in Redis. */
  readonly keyOf: (key: string) => string;
}

export const NAMESPACE = 'values';

/** Two caches of one namespace, with its options and those of the whole cache. */
export function podsForTest(own: NamespaceOptions = {}, options: DistributedCacheOptions = {}): Pods {
  const redis = redisForTest();
  const { url, keyPrefix } = redis;
  const complaints: string[] = [];
  const open = (): AsyncCache => {
    const cache = cacheForTest({
      redis: { url },
      keyPrefix,
      deadlineMs: 5000,
      namespaces: { [NAMESPACE]: own },
      ...options,
    });
    cache.events.on('valueRefused', ({ reason }) => complaints.push(reason));
    cache.events.on('tierError', ({ error }) => complaints.push(error.message));
    return cache.getCache(NAMESPACE);
  };
  return { redis, one: open(), two: open(), open, complaints, keyOf: (key) => `${keyPrefix}:${NAMESPACE}:${key}` };
}
