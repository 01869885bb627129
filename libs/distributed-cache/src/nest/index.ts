export { CACHE_MANAGER } from './cache-manager/index.js';
export { CacheMetricsInterceptor } from './cache-metrics.interceptor.js';
export { CacheRequestTracker } from './cache-request-tracker.js';
export { getCacheToken, InjectCache } from './cache-token.js';
export { CacheEvict, type CacheEvictOptions } from './decorators/cache-evict.decorator.js';
export { CachePut, type CachePutOptions } from './decorators/cache-put.decorator.js';
export {
  Cached,
  CachedKeywords,
  CachedMetrics,
  CachedTrends,
  type CachedOptions,
} from './decorators/cached.decorator.js';
export { CachedMany, type CachedManyOptions } from './decorators/cached-many.decorator.js';
export type { AsyncMethod, AsyncMethodDecorator } from './decorators/method-decorator.js';
export type { DistributedCacheOptionsFactory } from './distributed-cache.module-definition.js';
export { DistributedCacheModule, type FeatureNamespace } from './distributed-cache.module.js';
