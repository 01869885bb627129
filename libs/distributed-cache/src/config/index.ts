export { CacheConfig } from './config.js';
export { DEFAULTS } from './defaults.js';
export { type Duration, type DurationUnit, isDuration, MAX_DURATION_MS, toMs } from './duration.js';
export {
  ENVIRONMENT_VARIABLES,
  type EnvironmentVariable,
  type EnvironmentVariableName,
} from './environment-variables.js';
export { OPTION_LEVELS, type OptionDescription } from './option-table.js';
export type {
  CompressionOptions,
  DistributedCacheOptions,
  HostAndPort,
  LocalOptions,
  Migrate,
  NamespaceOptions,
  RedisClientOption,
  RedisClusterOptions,
  RedisConnectionOptions,
  RedisOption,
  RedisStoreOption,
  ResolvedNamespace,
  ResolvedRedis,
  ValidateMode,
  ValuesMode,
} from './options.js';
export { isStandardSchema, type SchemaResult, type StandardSchemaV1 } from './standard-schema.js';
export type { ResolvedCompression, ResolvedFallback, ResolvedLocal, ResolvedOptions } from './resolve.js';
