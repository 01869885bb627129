export { CACHE_MANAGER } from './cache-manager/index.js';
export { getCacheToken, InjectCache } from './cache-tokens.js';
export { keyOf } from './decorators/key-of.js';
export { CacheRequestTracker, CacheContextInterceptor, CacheMetricsInterceptor } from './interceptors.js';
export { CacheDefaults, type CacheDefaultsOptions } from './decorators/cache-defaults.decorator.js';
export { CacheEvict, type CacheEvictOptions, type OneOrMore } from './decorators/cache-evict.decorator.js';
export {
  CachePut,
  type CachePutOptions,
  type ChangedKey,
  type ValueMethodDecorator,
} from './decorators/cache-put.decorator.js';
export type { CachedOptions, InstanceKey } from './decorators/decorator-options.js';
export { Cached, CachedKeywords, CachedMetrics, CachedTrends } from './decorators/cached.decorator.js';
export { CachedMany, type CachedManyOptions, type ResultForm } from './decorators/cached-many.decorator.js';
export { type AsyncMethod, type AsyncMethodDecorator } from './decorators/wrap-method.js';
export {
  type CacheFeature,
  DistributedCacheModule,
  type DistributedCacheOptionsFactory,
  type FeatureNamespace,
} from './distributed-cache.module.js';
export type { ClassToDeclare } from '../config/index.js';
export type { RequestCacheUsage, RouteMetrics, RouteUsage, RouteUsageWire } from '../metrics/index.js';
