import { CacheConfig, type DistributedCacheOptions } from '../config/index.js';
import { DistributedCache, type CacheEnvironment } from './distributed-cache.js';

/**
 * Creates a cache without Nest, for scripts and workers. Resolves when the first attempt to connect to Redis has ended,
 * whether or not it succeeded.
 * @throws ConfigurationError with every mistake in the options and the environment
 */
export async function createDistributedCache(
  options: DistributedCacheOptions = {},
  environment: CacheEnvironment = {},
): Promise<DistributedCache> {
  const cache = new DistributedCache(CacheConfig.resolve(options), environment);
  await cache.connect();
  return cache;
}
