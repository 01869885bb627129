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
export { type Duration, type DurationUnit, isDuration, MAX_DURATION_MS, toMs } from './duration.js';
export type {
  AnyClass,
  CachedClassOptions,
  ClassOptions,
  ClassRegistration,
  CodecOptions,
  CompressionCodec,
  CompressionOptions,
  DistributedCacheOptions,
  EncryptionOptions,
  EntryFormat,
  HostAndPort,
  LocalOptions,
  Migrate,
  NamespaceOptions,
  RedisClientOption,
  RedisClusterOptions,
  RedisConnectionOptions,
  RedisCredentials,
  RedisOption,
  RedisStoreOption,
  ResolvedRedis,
  SchemaResult,
  StandardSchemaV1,
  ValidateMode,
  ValuesMode,
} from './options.js';
export { DURATION_FORMS, isRecord, isStandardSchema, NAME, type Rule, STANDARD_SCHEMA } from './rules.js';
export { NAMESPACE_OPTIONS } from './schema.js';
export { suggest } from './reader.js';
