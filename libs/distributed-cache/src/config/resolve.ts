import { DEFAULTS } from './defaults.js';
import { EnvironmentReader } from './environment-reader.js';
import { LIMITS, NAME_PATTERN, NAME_RULE } from './limits.js';
import { isRecord, levelOrFalse, OptionReader } from './option-reader.js';
import type { EncryptionKeys } from './encryption-keys.js';
import { FALLBACK_OPTIONS, LOCAL_OPTIONS, ROOT_OPTIONS } from './option-table.js';
import { CODEC_OPTIONS, COMPRESSION_OPTIONS, ENCRYPTION_OPTIONS } from './value-option-table.js';
import {
  checkNamespace,
  completeNamespace,
  type NamespaceDefaults,
  readNamespaces,
  resolveBuiltInTtls,
  VALUES_MODES,
} from './namespaces.js';
import type { DistributedCacheOptions, ResolvedCompression, ResolvedRedis, ValuesMode } from './options.js';
import { ProblemList, show } from './problem-list.js';
import { resolveRedis } from './redis-options.js';
import { readClasses, readCompression, readEncryption, type ResolvedClass } from './value-settings.js';

const BYTES_PER_MIB = 1_048_576;

export interface ResolvedLocal {
  readonly maxBytes: number;
  readonly maxEntries: number | undefined;
  readonly values: ValuesMode;
}

export interface ResolvedFallback {
  readonly ttlMs: number;
}

/** The whole configuration after environment and defaults. */
export interface ResolvedOptions {
  readonly enabled: boolean;
  readonly keyPrefix: string;
  /** TTL of namespaces without their own, in milliseconds. */
  readonly ttlMs: number;
  readonly redis: ResolvedRedis;
  readonly local: false | ResolvedLocal;
  readonly fallback: false | ResolvedFallback;
  readonly deadlineMs: number;
  readonly commandTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly healthCheckIntervalMs: number;
  readonly requireRedis: boolean;
  readonly strict: boolean;
  readonly logLookups: boolean;
  readonly maxValueBytes: number;
  readonly compression: false | ResolvedCompression;
  readonly context: DistributedCacheOptions['context'];
  /** The registered classes by their stored names. */
  readonly classes: ReadonlyMap<string, ResolvedClass>;
  readonly encryptionKeys: EncryptionKeys | undefined;
}

type Options = OptionReader<DistributedCacheOptions>;

/** Resolves and checks all options. @throws ConfigurationError with every mistake of both sources */
export function resolveOptions(
  given: unknown,
  env: NodeJS.ProcessEnv,
): { readonly options: ResolvedOptions; readonly namespaces: NamespaceDefaults } {
  const problems = new ProblemList();
  if (!isRecord(given)) {
    problems.add('options', show(given), 'an object');
  }
  const options: Options = new OptionReader(isRecord(given) ? given : {}, '', Object.keys(ROOT_OPTIONS), problems);
  const environment = new EnvironmentReader(env, problems);

  const local = resolveLocal(options, environment);
  const configured = readNamespaces(options);
  const encryption = levelOrFalse(options, 'encryption', ENCRYPTION_OPTIONS);
  const ttlMs =
    options.durationMs('ttl', LIMITS.ttlMs) ??
    environment.secondsAsMs('CACHE_TTL_DEFAULT', LIMITS.ttlMs) ??
    DEFAULTS.ttlMs;
  const resolved: ResolvedOptions = {
    enabled: options.boolean('enabled') ?? environment.boolean('CACHE_ENABLED') ?? DEFAULTS.enabled,
    keyPrefix:
      options.text('keyPrefix', NAME_PATTERN, NAME_RULE) ??
      environment.text('CACHE_KEY_PREFIX', NAME_PATTERN, NAME_RULE) ??
      DEFAULTS.keyPrefix,
    ttlMs,
    redis: resolveRedis(options, environment),
    local,
    fallback: resolveFallback(options, environment, local !== false),
    deadlineMs:
      options.integer('deadlineMs', LIMITS.deadlineMs) ??
      environment.integer('CACHE_DEADLINE_MS', LIMITS.deadlineMs) ??
      DEFAULTS.deadlineMs,
    commandTimeoutMs:
      options.durationMs('redisTimeout', LIMITS.commandTimeoutMs) ??
      environment.secondsAsMs('REDIS_TIMEOUT', LIMITS.commandTimeoutMs) ??
      DEFAULTS.commandTimeoutMs,
    heartbeatMs: options.integer('heartbeatMs', LIMITS.heartbeatMs) ?? DEFAULTS.heartbeatMs,
    healthCheckIntervalMs:
      options.durationMs('healthCheckInterval', LIMITS.intervalMs) ??
      environment.secondsAsMs('REDIS_HEALTH_CHECK_INTERVAL', LIMITS.intervalMs) ??
      DEFAULTS.healthCheckIntervalMs,
    requireRedis: resolveRequireRedis(options),
    strict: options.boolean('strict') ?? DEFAULTS.strict,
    logLookups: options.boolean('logLookups') ?? environment.boolean('CACHE_LOG_LOOKUPS') ?? DEFAULTS.logLookups,
    maxValueBytes: options.integer('maxValueBytes', LIMITS.maxValueBytes) ?? DEFAULTS.maxValueBytes,
    compression: resolveCompression(options, environment),
    context: options.function('context'),
    classes: readClasses(options, options.level('codec', CODEC_OPTIONS)),
    encryptionKeys: encryption !== false && options.has('encryption') ? readEncryption(encryption) : undefined,
  };
  const namespaces: NamespaceDefaults = {
    ttlMs,
    values: local === false ? DEFAULTS.values : local.values,
    builtInTtlMs: resolveBuiltInTtls(options, environment, configured),
    configured,
    compression: resolved.compression,
    encryptionKeys: resolved.encryptionKeys,
  };
  for (const [name, settings] of configured) {
    checkNamespace(completeNamespace(name, settings, namespaces), `namespaces.${name}.`, problems);
  }
  problems.throwIfAny();
  return { options: resolved, namespaces };
}

function resolveLocal(options: Options, environment: EnvironmentReader): false | ResolvedLocal {
  const local = levelOrFalse(options, 'local', LOCAL_OPTIONS);
  if (local === false) {
    return false;
  }
  const maxMemoryMb =
    local.number('maxMemoryMb', LIMITS.maxMemoryMb) ??
    environment.number('CACHE_MAX_MEMORY_MB', LIMITS.maxMemoryMb) ??
    DEFAULTS.maxMemoryMb;
  return Object.freeze({
    maxBytes: Math.round(maxMemoryMb * BYTES_PER_MIB),
    maxEntries: local.integer('maxEntries', LIMITS.maxEntries),
    values: local.choice('values', VALUES_MODES) ?? DEFAULTS.values,
  });
}

/**
 * Resolves the option `fallback`. A TTL in code does not switch the fallback on: `CACHE_FALLBACK_ENABLED=false` still
 * turns it off.
 */
function resolveFallback(
  options: Options,
  environment: EnvironmentReader,
  hasLocal: boolean,
): false | ResolvedFallback {
  const fallback = levelOrFalse(options, 'fallback', FALLBACK_OPTIONS);
  if (fallback === false) {
    return false;
  }
  const givenTtlMs = fallback.durationMs('ttl', LIMITS.ttlMs);
  const isEnabled = environment.boolean('CACHE_FALLBACK_ENABLED') ?? DEFAULTS.fallbackEnabled;
  if (!isEnabled || !hasLocal) {
    return false;
  }
  const ttlMs = givenTtlMs ?? environment.secondsAsMs('CACHE_FALLBACK_TTL', LIMITS.ttlMs) ?? DEFAULTS.fallbackTtlMs;
  return Object.freeze({ ttlMs });
}

function resolveCompression(options: Options, environment: EnvironmentReader): false | ResolvedCompression {
  const compression = levelOrFalse(options, 'compression', COMPRESSION_OPTIONS);
  if (compression === false) {
    return false;
  }
  const given = readCompression(compression);
  return Object.freeze({
    thresholdBytes:
      given.thresholdBytes ??
      environment.integer('CACHE_COMPRESSION_THRESHOLD', LIMITS.compressionThresholdBytes) ??
      DEFAULTS.compressionThresholdBytes,
    codec: given.codec ?? DEFAULTS.compressionCodec,
  });
}

function resolveRequireRedis(options: Options): boolean {
  const requireRedis = options.boolean('requireRedis') ?? DEFAULTS.requireRedis;
  if (requireRedis && options.value('redis') === false) {
    options.refuse('requireRedis', 'false while redis is false');
  }
  return requireRedis;
}
