export {
  CachedClass,
  type ClassToDeclare,
  DECLARED_CLASSES,
  declareClasses,
  EncryptionKeys,
  type ResolvedClass,
  type ResolvedCompression,
} from './codec-settings.js';
export {
  CacheConfig,
  type ResolvedFallback,
  type ResolvedWarmUp,
  type ResolvedLocal,
  type ResolvedOptions,
  type ResolvedNamespace,
} from './config.js';
export {
  DEFAULTS,
  ENVIRONMENT_VARIABLES,
  type EnvironmentVariable,
  type EnvironmentVariableName,
  OPTION_LEVELS,
  type OptionDescription,
} from './derived.js';
export { areInOrder, type Duration, type DurationUnit, isDuration, MAX_DURATION_MS, toMs } from './duration.js';
export type {
  AnyClass,
  CachedClassOptions,
  ClassOptions,
  ClassRegistration,
  CodecOptions,
  CompressionCodec,
  CompressionOptions,
  EncryptionOptions,
} from './codec-schema.js';
export type {
  HostAndPort,
  RedisClientOption,
  RedisClusterOptions,
  RedisConnectionOptions,
  RedisCredentials,
  RedisHomeOptions,
  RedisOption,
  RedisStoreOption,
  ResolvedRedis,
} from './redis-schema.js';
export {
  DURATION_FORMS,
  isRecord,
  isStandardSchema,
  NAME,
  type Rule,
  type SchemaResult,
  STANDARD_SCHEMA,
  type StandardSchemaV1,
} from './rules.js';
export {
  type DistributedCacheOptions,
  type EntryFormat,
  type LocalOptions,
  type Migrate,
  NAMESPACE_OPTIONS,
  type NamespaceOptions,
  type ValidateMode,
  type ValuesMode,
} from './schema.js';
export { suggest } from './reader.js';
export { type CompanionOptions, MOST_HOT_KEYS, type WarmLoadOptions, type WarmUpOptions } from './warm-schema.js';
