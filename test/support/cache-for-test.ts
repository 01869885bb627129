import { onTestFinished } from 'vitest';
import {
  CacheConfig,
  DistributedCache,
  type CacheEnvironment,
  type DistributedCacheOptions,
} from 'nestjs-distributed-cache/core';

/** A cache that ends with its test, deaf to the machine's environment variables. It connects at its first use; chance plays no part. */
export function cacheForTest(options: DistributedCacheOptions, environment?: CacheEnvironment): DistributedCache {
  const cache = new DistributedCache(CacheConfig.resolve(options, {}), { random: () => 1, ...environment });
  onTestFinished(() => cache.close());
  return cache;
}
