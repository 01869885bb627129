/**
 * The cache without Nest: `createDistributedCache`, `AsyncCache`, the configuration, the events and the errors.
 *
 * @module nestjs-distributed-cache/core
 */

export {
  type AnyClass,
  CacheConfig,
  CachedClass,
  type CachedClassOptions,
  type ClassOptions,
  type ClassRegistration,
  type CodecOptions,
  type CompressionCodec,
  type CompressionOptions,
  DEFAULTS,
  type DistributedCacheOptions,
  type Duration,
  type DurationUnit,
  EncryptionKeys,
  type EncryptionOptions,
  type EntryFormat,
  ENVIRONMENT_VARIABLES,
  type EnvironmentVariable,
  type EnvironmentVariableName,
  type HostAndPort,
  isDuration,
  isStandardSchema,
  type LocalOptions,
  MAX_DURATION_MS,
  type Migrate,
  type NamespaceOptions,
  OPTION_LEVELS,
  type OptionDescription,
  type RedisClientOption,
  type RedisClusterOptions,
  type RedisConnectionOptions,
  type RedisCredentials,
  type RedisOption,
  type RedisStoreOption,
  type ResolvedClass,
  type ResolvedCompression,
  type ResolvedFallback,
  type ResolvedLocal,
  type ResolvedNamespace,
  type ResolvedOptions,
  type ResolvedRedis,
  type SchemaResult,
  type StandardSchemaV1,
  toMs,
  type ValidateMode,
  type ValuesMode,
} from '../config/index.js';
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
  type CacheTracer,
  DIAGNOSTICS_CHANNEL_PREFIX,
  type InvalidationState,
  type LoaderOutcome,
  type OutageReason,
  ProcessMetrics,
  type ProcessMetricsWire,
  type RedisFacts,
  type RedisOperation,
  type RedisOutcome,
  type SchemaMismatch,
  type TracedKind,
  type TracedOperation,
  Tracing,
} from '../events/index.js';
export {
  type CacheDimensions,
  type CacheKey,
  CacheKeyError,
  describeKey,
  type DimensionValue,
  encodeArguments,
  encodeKey,
  instanceSuffix,
  isDimensionName,
  isValidName,
  methodKey,
  MethodKeys,
  PreparedKey,
  prepareKey,
  versionSuffix,
} from '../keys/index.js';
export { hiddenStateOf } from '../values/index.js';
export { LocalCache, systemClock, type Clock, type LocalCacheOptions, type LocalSetOptions } from '../local/index.js';
export { AsyncCache, NamespaceCache } from './async-cache.js';
export type { BatchLoader } from './batch-loader.js';
export { Binding, createDistributedCache, DistributedCache, type CacheEnvironment } from './distributed-cache.js';
export type { EntryOptions, KeyOptions, Loader, LoaderContext } from './entry-options.js';
export type { EntryInspection, LeaseInspection, LocalInspection, RedisInspection, TagInspection } from './inspect.js';
export { type Found, type Lookup, type Miss } from './outcomes.js';
export { CacheContext } from './vary-by.js';
