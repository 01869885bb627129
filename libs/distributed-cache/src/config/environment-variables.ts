import { DEFAULTS } from './defaults.js';

/** The description of one environment variable, for the parser, `.env.example` and the documentation. */
export interface EnvironmentVariable {
  /** The default in the form of the variable; empty when there is none. */
  readonly default: string;
  /** Shown in `.env.example` when there is no default. */
  readonly example?: string;
  /** The meaning, with the unit. */
  readonly meaning: string;
}

const { namespaceTtlMs } = DEFAULTS;

/** Every variable that the library reads. A variable that is empty or blank counts as not set. */
export const ENVIRONMENT_VARIABLES = {
  REDIS_URL: {
    default: '',
    example: 'rediss://user:password@redis.example.com:6379/0',
    meaning:
      'whole address, `redis://` or `rediss://` (TLS); wins over `REDIS_HOST`, `REDIS_PORT`, `REDIS_DB`, `REDIS_USERNAME`, `REDIS_PASSWORD` and `REDIS_SSL`',
  },
  REDIS_HOST: { default: DEFAULTS.host, meaning: 'host name or IP address' },
  REDIS_PORT: { default: `${DEFAULTS.port}`, meaning: 'port' },
  REDIS_DB: { default: `${DEFAULTS.db}`, meaning: 'database number; Redis Cluster has only 0' },
  REDIS_USERNAME: { default: '', example: 'app', meaning: 'ACL user; used together with the password' },
  REDIS_PASSWORD: { default: '', example: 'secret', meaning: 'password' },
  REDIS_SSL: {
    default: `${DEFAULTS.tls}`,
    meaning: 'true: TLS, also to Sentinels; the certificate of the server is verified',
  },
  REDIS_CLUSTER_NODES: {
    default: '',
    example: 'redis-1.example.com:6379,redis-2.example.com:6379',
    meaning: 'Redis Cluster: some of its nodes, `host:port,host:port`; IPv6 in brackets',
  },
  REDIS_SENTINELS: {
    default: '',
    example: 'sentinel-1.example.com:26379,sentinel-2.example.com:26379',
    meaning: 'Redis Sentinel: the Sentinels, `host:port,host:port`; needs `REDIS_SENTINEL_NAME`',
  },
  REDIS_SENTINEL_NAME: {
    default: '',
    example: 'mymaster',
    meaning: "the master's name in the Sentinels' configuration",
  },
  REDIS_TIMEOUT: {
    default: seconds(DEFAULTS.commandTimeoutMs),
    meaning:
      'seconds; hard limit of one command and of opening a connection. Callers never wait that long: see `CACHE_DEADLINE_MS`',
  },
  CACHE_DEADLINE_MS: {
    default: `${DEFAULTS.deadlineMs}`,
    meaning: 'milliseconds; the most that one cache operation may add to a call before it goes on without Redis',
  },
  REDIS_HEALTH_CHECK_INTERVAL: {
    default: seconds(DEFAULTS.healthCheckIntervalMs),
    meaning: 'seconds between the periodic health checks that are logged',
  },
  CACHE_KEY_PREFIX: { default: DEFAULTS.keyPrefix, meaning: 'first part of every key: letters, digits, `_`, `.`, `-`' },
  CACHE_TTL_DEFAULT: { default: seconds(DEFAULTS.ttlMs), meaning: 'seconds; TTL of namespaces without their own' },
  CACHE_TTL_KEYWORDS: {
    default: seconds(namespaceTtlMs.keywords),
    meaning: 'seconds; TTL of the namespace `keywords`',
  },
  CACHE_TTL_METRICS: { default: seconds(namespaceTtlMs.metrics), meaning: 'seconds; TTL of the namespace `metrics`' },
  CACHE_TTL_TRENDS: { default: seconds(namespaceTtlMs.trends), meaning: 'seconds; TTL of the namespace `trends`' },
  CACHE_FALLBACK_ENABLED: {
    default: `${DEFAULTS.fallbackEnabled}`,
    meaning: "true: serve from this process's memory while Redis can't be used",
  },
  CACHE_FALLBACK_TTL: {
    default: seconds(DEFAULTS.fallbackTtlMs),
    meaning: 'seconds; longest life of an entry in that mode',
  },
  CACHE_MAX_MEMORY_MB: {
    default: `${DEFAULTS.maxMemoryMb}`,
    meaning: "MiB of this process's memory for all namespaces together",
  },
  CACHE_COMPRESSION_THRESHOLD: {
    default: `${DEFAULTS.compressionThresholdBytes}`,
    meaning: 'bytes of the serialized value from which it is compressed',
  },
  CACHE_ENABLED: {
    default: `${DEFAULTS.enabled}`,
    meaning: 'false: every method runs as if undecorated and nothing is opened (the rollback switch)',
  },
  CACHE_LOG_LOOKUPS: {
    default: `${DEFAULTS.logLookups}`,
    meaning: 'true: each hit, miss, set and deletion is a line of the log at level `debug`',
  },
} as const satisfies Record<string, EnvironmentVariable>;

export type EnvironmentVariableName = keyof typeof ENVIRONMENT_VARIABLES;

function seconds(ms: number): string {
  return `${ms / 1000}`;
}
