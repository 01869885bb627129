export * from '../config/index.js';
export * from '../errors/index.js';
export {
  type AnsweringTier,
  type CacheCounts,
  type CacheEventListener,
  type CacheEventMap,
  type CacheEventName,
  CacheEvents,
  CacheHealth,
  type CacheHealthWire,
  CacheMetrics,
  type CacheMetricsWire,
  type CacheStatus,
  DIAGNOSTICS_CHANNEL_PREFIX,
  type InvalidationState,
  type OutageReason,
  type RedisFacts,
  type SchemaMismatch,
} from '../events/index.js';
export {
  type CacheDimensions,
  type CacheKey,
  CacheKeyError,
  describeKey,
  type DimensionValue,
  encodeArguments,
  encodeKey,
  isDimensionName,
  isValidName,
  methodKey,
  MethodKeys,
  PreparedKey,
  prepareKey,
  versionSuffix,
} from '../keys/index.js';
export { LocalCache, systemClock, type Clock, type LocalCacheOptions, type LocalSetOptions } from '../local/index.js';
export { AsyncCache } from './async-cache.js';
export { Binding } from './binding.js';
export type { BatchLoader } from './batch-loader.js';
export { CacheContext } from './cache-context.js';
export { createDistributedCache } from './create-distributed-cache.js';
export { DistributedCache, type CacheEnvironment } from './distributed-cache.js';
export type {
  EntryInspection,
  LeaseInspection,
  LocalInspection,
  RedisInspection,
  TagInspection,
} from './entry-inspection.js';
export type { EntryOptions, KeyOptions, Loader, LoaderContext } from './entry-options.js';
export type { Found, Lookup, Miss } from './lookup.js';
