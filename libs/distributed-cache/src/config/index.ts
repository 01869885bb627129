export { CacheConfig } from './config.js';
export { DEFAULTS } from './defaults.js';
export { type Duration, type DurationUnit, isDuration, MAX_DURATION_MS, toMs } from './duration.js';
export {
  ENVIRONMENT_VARIABLES,
  type EnvironmentVariable,
  type EnvironmentVariableName,
} from './environment-variables.js';
export type { OptionDescription } from './option-description.js';
export { OPTION_LEVELS } from './option-table.js';
export { CachedClass } from './cached-class.decorator.js';
export { EncryptionKeys } from './encryption-keys.js';
export type {
  DistributedCacheOptions,
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
  ResolvedCompression,
  ResolvedNamespace,
  ResolvedRedis,
  ValidateMode,
  ValuesMode,
} from './options.js';
export { isStandardSchema, type SchemaResult, type StandardSchemaV1 } from './standard-schema.js';
export type { ResolvedFallback, ResolvedLocal, ResolvedOptions } from './resolve.js';
export type {
  AnyClass,
  ClassOptions,
  ClassRegistration,
  CodecOptions,
  CompressionCodec,
  CompressionOptions,
  EncryptionOptions,
  EntryFormat,
} from './value-options.js';
export type { ResolvedClass } from './value-settings.js';
