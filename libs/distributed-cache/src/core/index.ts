export * from '../config/index.js';
export * from '../errors/index.js';
export * from '../events/index.js';
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
export type { BatchLoader } from './batch-loader.js';
export { Binding, createDistributedCache, DistributedCache, type CacheEnvironment } from './distributed-cache.js';
export type { EntryOptions, KeyOptions, Loader, LoaderContext } from './entry-options.js';
export type { EntryInspection, LeaseInspection, LocalInspection, RedisInspection, TagInspection } from './inspect.js';
export type { Found, Lookup, Miss } from './lookup.js';
export { CacheContext } from './vary-by.js';
