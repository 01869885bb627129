import { DEFAULTS } from './defaults.js';
import type { OptionDescription, OptionLevel } from './option-description.js';
import type {
  DistributedCacheOptions,
  HostAndPort,
  LocalOptions,
  NamespaceOptions,
  RedisClusterOptions,
  RedisConnectionOptions,
} from './options.js';
import { CLASS_OPTIONS, CODEC_OPTIONS, COMPRESSION_OPTIONS, ENCRYPTION_OPTIONS } from './value-option-table.js';

const HOSTS = '{ host, port }[]';
const TLS = 'boolean | object';
const { namespaceTtlMs } = DEFAULTS;

export const TTL_OPTIONS: OptionLevel<NonNullable<DistributedCacheOptions['ttls']>> = {
  keywords: {
    type: 'Duration',
    default: hours(namespaceTtlMs.keywords),
    variable: 'CACHE_TTL_KEYWORDS',
    meaning: 'TTL of the namespace `keywords`',
  },
  metrics: {
    type: 'Duration',
    default: hours(namespaceTtlMs.metrics),
    variable: 'CACHE_TTL_METRICS',
    meaning: 'TTL of the namespace `metrics`',
  },
  trends: {
    type: 'Duration',
    default: hours(namespaceTtlMs.trends),
    variable: 'CACHE_TTL_TRENDS',
    meaning: 'TTL of the namespace `trends`',
  },
};

export const REDIS_OPTIONS: OptionLevel<RedisConnectionOptions> = {
  url: {
    type: 'string',
    default: '',
    meaning: '`redis://` or `rediss://` address; wins where it and the options below both say something',
  },
  host: { type: 'string', default: quoted(DEFAULTS.host), meaning: 'host name or IP address' },
  port: { type: 'number', default: `${DEFAULTS.port}`, meaning: 'port' },
  path: { type: 'string', default: '', meaning: 'path of a Unix socket; wins over `host` and `port`' },
  db: { type: 'number', default: `${DEFAULTS.db}`, meaning: 'database number' },
  username: { type: 'string', default: '', meaning: 'ACL user' },
  password: { type: 'string', default: '', meaning: 'password' },
  credentials: {
    type: '() => { username?, password }',
    default: '',
    meaning:
      'asked before each connection, and may return a promise: for passwords that change; wins over `username` and `password`',
  },
  tls: {
    type: TLS,
    default: `${DEFAULTS.tls}`,
    meaning: "true, or Node's TLS options; the server's certificate is always verified",
  },
  sentinels: { type: HOSTS, default: '', meaning: 'Sentinels to ask for the master' },
  name: { type: 'string', default: '', meaning: "the master's name in the Sentinels' configuration" },
  sentinelUsername: { type: 'string', default: '', meaning: 'ACL user of the Sentinels themselves' },
  sentinelPassword: { type: 'string', default: '', meaning: 'password of the Sentinels themselves' },
  sentinelTls: { type: TLS, default: 'as `tls`', meaning: 'TLS to the Sentinels' },
  connectionName: { type: 'string', default: '', meaning: 'name shown by `CLIENT LIST`' },
  family: { type: '0 | 4 | 6', default: '', meaning: 'IP version; 0: either' },
  clientOptions: {
    type: 'object',
    default: '',
    meaning:
      'further ioredis options, passed on; they beat ours. Refused: `keyPrefix`, and reads of replicas (`scaleReads`, `readOnly`, `role`)',
  },
};

export const CLUSTER_OPTIONS: OptionLevel<RedisClusterOptions['cluster']> = {
  nodes: { type: HOSTS, default: '', meaning: 'some nodes to start from; the others are discovered' },
  options: {
    type: 'object',
    default: '',
    meaning:
      'for every node: `username`, `password`, `credentials`, `tls`, `connectionName`, `family`, `clientOptions`',
  },
};

export const HOST_OPTIONS: OptionLevel<HostAndPort> = {
  host: { type: 'string', default: '', meaning: 'host name or IP address' },
  port: { type: 'number', default: '', meaning: 'port' },
};

export const LOCAL_OPTIONS: OptionLevel<LocalOptions> = {
  maxMemoryMb: {
    type: 'number',
    default: `${DEFAULTS.maxMemoryMb}`,
    variable: 'CACHE_MAX_MEMORY_MB',
    meaning: 'most heap that L1 may take, all namespaces together, in MiB',
  },
  maxEntries: { type: 'number', default: '', meaning: 'most entries' },
  values: {
    type: "'frozen' | 'cloned' | 'shared'",
    default: quoted(DEFAULTS.values),
    meaning: 'how values leave L1: deep-frozen and shared, copied per read, or shared as they are',
  },
};

export const FALLBACK_OPTIONS: OptionLevel<Exclude<NonNullable<DistributedCacheOptions['fallback']>, false>> = {
  ttl: {
    type: 'Duration',
    default: seconds(DEFAULTS.fallbackTtlMs),
    variable: 'CACHE_FALLBACK_TTL',
    meaning: "longest life of an entry while Redis can't be used",
  },
};

export const NAMESPACE_OPTIONS: OptionLevel<NamespaceOptions> = {
  ttl: { type: 'Duration', default: "the cache's", meaning: 'how long an entry is fresh' },
  grace: {
    type: 'Duration',
    default: `${DEFAULTS.graceMs}`,
    meaning: 'how long a stale value is kept after its TTL, to be served when the loader fails; 0: not at all',
  },
  emptyTtl: {
    type: 'Duration',
    default: seconds(DEFAULTS.emptyTtlMs),
    meaning: 'TTL of `null` and `undefined`; never longer than the TTL',
  },
  values: { type: "'frozen' | 'cloned' | 'shared'", default: '`local.values`', meaning: 'as `local.values`' },
  schema: {
    type: 'StandardSchemaV1',
    default: '',
    meaning: 'what values must be (zod, valibot, arktype); a value from Redis that is not is a miss',
  },
  validate: {
    type: "'read' | 'both'",
    default: quoted(DEFAULTS.validate),
    meaning: 'both: also before values are stored',
  },
  version: { type: 'string | number', default: '', meaning: 'of the shape of values; entries of another are misses' },
  migrate: {
    type: '(value, fromVersion) => value',
    default: '',
    meaning: "makes today's values of those of another version; what it throws at is a miss",
  },
  compression: { type: 'false | object', default: "the cache's", meaning: 'as `compression`' },
  format: {
    type: 'string',
    default: quoted(DEFAULTS.format),
    meaning: 'how values lie in Redis: `envelope`, or text that other programs read: `json`, `keyv`, `cache-manager`',
  },
  legacy: {
    type: 'boolean',
    default: 'true, encrypted: false',
    meaning: 'whether values that another program wrote under these keys are read',
  },
  encryption: { type: 'false | object', default: "the cache's", meaning: 'as `encryption`' },
};

export const ROOT_OPTIONS: OptionLevel<DistributedCacheOptions> = {
  enabled: {
    type: 'boolean',
    default: `${DEFAULTS.enabled}`,
    variable: 'CACHE_ENABLED',
    meaning: 'false: every decorated method runs as if undecorated and nothing is opened',
  },
  keyPrefix: {
    type: 'string',
    default: quoted(DEFAULTS.keyPrefix),
    variable: 'CACHE_KEY_PREFIX',
    meaning: 'first part of every key in Redis',
  },
  ttl: {
    type: 'Duration',
    default: hours(DEFAULTS.ttlMs),
    variable: 'CACHE_TTL_DEFAULT',
    meaning: 'TTL of namespaces without their own',
  },
  ttls: { type: 'object', default: '', meaning: 'TTLs of the three built-in namespaces' },
  redis: {
    type: 'false | object',
    default: '',
    meaning: 'where Redis is; false: no Redis. Not given: the `REDIS_*` variables',
  },
  local: { type: 'false | object', default: '', meaning: "L1, this process's memory; false: none" },
  fallback: {
    type: 'false | object',
    default: '',
    variable: 'CACHE_FALLBACK_ENABLED',
    meaning: "false: L1 does not serve while Redis can't be used",
  },
  deadlineMs: {
    type: 'number',
    default: `${DEFAULTS.deadlineMs}`,
    variable: 'CACHE_DEADLINE_MS',
    meaning: 'the most that one cache operation may add to a call, in milliseconds',
  },
  redisTimeout: {
    type: 'Duration',
    default: seconds(DEFAULTS.commandTimeoutMs),
    variable: 'REDIS_TIMEOUT',
    meaning: 'hard limit of one Redis command and of opening a connection',
  },
  heartbeatMs: {
    type: 'number',
    default: `${DEFAULTS.heartbeatMs}`,
    meaning: 'time between two looks at the connection, in milliseconds',
  },
  healthCheckInterval: {
    type: 'Duration',
    default: seconds(DEFAULTS.healthCheckIntervalMs),
    variable: 'REDIS_HEALTH_CHECK_INTERVAL',
    meaning: 'time between two health checks that are logged',
  },
  requireRedis: {
    type: 'boolean',
    default: `${DEFAULTS.requireRedis}`,
    meaning: "true: health is `down`, not `degraded`, while Redis can't be used",
  },
  strict: {
    type: 'boolean',
    default: `${DEFAULTS.strict}`,
    meaning: 'true: a change counts once a replica has it too, else it is journalled and repeated: see guarantees',
  },
  logLookups: {
    type: 'boolean',
    default: `${DEFAULTS.logLookups}`,
    variable: 'CACHE_LOG_LOOKUPS',
    meaning: 'true: each hit, miss, set and deletion is a line of the log at level `debug`',
  },
  maxValueBytes: {
    type: 'number',
    default: `${DEFAULTS.maxValueBytes}`,
    meaning: 'largest serialized value in bytes; a larger one is not cached',
  },
  compression: { type: 'false | object', default: '', meaning: 'false: values are stored as they are' },
  context: {
    type: '() => object',
    default: '',
    meaning: 'the dimensions of the current request (`{ tenant, locale }`), for `varyBy`',
  },
  codec: { type: 'object', default: '', meaning: 'registered classes' },
  encryption: { type: 'false | object', default: '`false`', meaning: 'encrypts every value in Redis (AES-256-GCM)' },
  namespaces: { type: 'object', default: '', meaning: 'options by name of the namespace' },
};

/** Every level of the options, with the path under which the documentation shows it. */
export const OPTION_LEVELS: readonly {
  readonly path: string;
  readonly options: Readonly<Record<string, OptionDescription>>;
}[] = [
  { path: '', options: { ...ROOT_OPTIONS } },
  { path: 'ttls.', options: { ...TTL_OPTIONS } },
  { path: 'redis.', options: { ...REDIS_OPTIONS } },
  { path: 'redis.cluster.', options: { ...CLUSTER_OPTIONS } },
  {
    path: 'redis.',
    options: {
      client: {
        type: 'object',
        default: '',
        meaning: 'your own ioredis 5 or 6 `Redis` or `Cluster`; duplicated, not used itself',
      },
    },
  },
  {
    path: 'redis.',
    options: {
      store: {
        type: 'object',
        default: '',
        meaning: 'your own cache-manager-ioredis-yet store; its client is duplicated',
      },
    },
  },
  { path: 'local.', options: { ...LOCAL_OPTIONS } },
  { path: 'fallback.', options: { ...FALLBACK_OPTIONS } },
  { path: 'compression.', options: { ...COMPRESSION_OPTIONS } },
  { path: 'codec.', options: { ...CODEC_OPTIONS } },
  { path: 'codec.classes.<name>.', options: { ...CLASS_OPTIONS } },
  { path: 'encryption.', options: { ...ENCRYPTION_OPTIONS } },
  { path: 'namespaces.<name>.', options: { ...NAMESPACE_OPTIONS } },
];

function quoted(text: string): string {
  return `'${text}'`;
}

function seconds(ms: number): string {
  return `'${ms / 1000}s'`;
}

function hours(ms: number): string {
  return `'${ms / 3_600_000}h'`;
}
