import { MAX_DURATION_MS } from './duration.js';
import type {
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
  RedisStoreOption,
  ValidateMode,
  ValuesMode,
} from './options.js';
import {
  BOOLEAN,
  durationBetween,
  functionOf,
  HOST,
  integerBetween,
  NAME,
  numberBetween,
  oneOf,
  type OptionRow,
  type TextRule,
  PORT,
  SECRET,
  STANDARD_SCHEMA,
  TEXT,
  VERSION,
} from './rules.js';

/*
 * The options of the cache. One row is one option: its rule (type, limits), its default, its environment variable and
 * its meaning. Validation, defaults, the reading of the environment, `.env.example` and the tables of the documentation
 * come from these rows. A row without a rule belongs to an option that a function of its own reads. An option of an
 * interface in options.ts that has no row here does not compile.
 */
type Rows<Options> = { readonly [Name in keyof Required<Options>]: OptionRow };

const MAX_STRING_BYTES = 536_870_912; // the longest value that Redis accepts
const ONE_HOUR_MS = 3_600_000;
/** Node's timers fire at once when their delay is more than 2^31 - 1 ms. */
const LONGEST_TIMER_MS = 24 * 86_400_000;

const TTL = durationBetween(1, MAX_DURATION_MS);
const REQUIRE_REDIS: TextRule<boolean | 'at-start'> = {
  type: "boolean | 'at-start'",
  allowed: "true, false or 'at-start'",
  accept: (value) => (typeof value === 'boolean' || value === 'at-start' ? value : undefined),
  variable: {
    allowed: 'true, false or at-start',
    parse: (text) => (text === 'at-start' ? text : BOOLEAN.variable.parse(text)),
  },
};
const VALUES = oneOf<ValuesMode>(['cloned', 'frozen', 'shared']);
const CODECS: readonly CompressionCodec[] = ['deflate', 'gzip', 'brotli', 'zstd', 'lz4', 'snappy'];
const FORMATS: readonly EntryFormat[] = ['envelope', 'json', 'keyv', 'cache-manager'];

/** The options of the whole cache. */
export const CACHE_OPTIONS = {
  enabled: {
    rule: BOOLEAN,
    default: true,
    variable: 'CACHE_ENABLED',
    meaning: 'false: every decorated method runs as if undecorated, and no connection is opened (the rollback switch)',
  },
  keyPrefix: {
    rule: NAME,
    default: 'cache',
    variable: 'CACHE_KEY_PREFIX',
    meaning: 'first part of every key in Redis: letters, digits, `_`, `.`, `-`',
  },
  ttl: {
    rule: TTL,
    field: 'ttlMs',
    default: 3_600_000,
    variable: 'CACHE_TTL_DEFAULT',
    meaning: 'TTL of namespaces without their own',
  },
  ttls: { type: 'object', meaning: 'TTLs of the three built-in namespaces' },
  redis: { type: 'false | object', meaning: 'the Redis to use; false: no Redis. Not given: the `REDIS_*` variables' },
  local: { type: 'false | object', meaning: 'L1, the memory of this process; false: no L1' },
  fallback: {
    type: 'false | object',
    field: 'fallbackEnabled',
    default: true,
    defaultText: '',
    variable: 'CACHE_FALLBACK_ENABLED',
    meaning: "false: L1 does not serve while Redis can't be used",
  },
  deadlineMs: {
    rule: integerBetween(1, 60_000),
    default: 300,
    variable: 'CACHE_DEADLINE_MS',
    meaning:
      'the longest time that one cache operation may add to a call before it goes on without Redis, in milliseconds',
  },
  redisTimeout: {
    rule: durationBetween(1, ONE_HOUR_MS),
    field: 'commandTimeoutMs',
    default: 5000,
    variable: 'REDIS_TIMEOUT',
    meaning:
      'hard limit of one Redis command and of opening a connection; a call waits no longer than `CACHE_DEADLINE_MS`',
  },
  heartbeatMs: {
    rule: integerBetween(50, ONE_HOUR_MS),
    default: 1000,
    meaning: 'time between two checks of the connection, in milliseconds',
  },
  consistencyChecks: {
    rule: BOOLEAN,
    default: true,
    meaning:
      'whether about one hit of L1 a second is compared with Redis, one short command each (`cache_consistency_checks_total`)',
  },
  healthCheckInterval: {
    rule: durationBetween(1, LONGEST_TIMER_MS),
    field: 'healthCheckIntervalMs',
    default: 30_000,
    variable: 'REDIS_HEALTH_CHECK_INTERVAL',
    meaning: 'time between two health checks that are logged',
  },
  requireRedis: {
    rule: REQUIRE_REDIS,
    default: false,
    meaning:
      "true: health is `down`, not `degraded`, while Redis can't be used; `'at-start'`: the start of the application fails, too, if Redis can't be used then",
  },
  strict: {
    rule: BOOLEAN,
    default: false,
    meaning: 'true: a change counts once a replica has it too, else it is journalled and repeated: see guarantees',
  },
  logLookups: {
    rule: BOOLEAN,
    default: false,
    variable: 'CACHE_LOG_LOOKUPS',
    meaning: 'true: each hit, miss, set, deletion and other change is a line of the log at level `debug`',
  },
  strictStart: {
    rule: BOOLEAN,
    default: false,
    variable: 'CACHE_STRICT_START',
    meaning: 'true: what the check of the decorators at the start finds stops the start; false: it is logged',
  },
  maxValueBytes: {
    rule: integerBetween(1, MAX_STRING_BYTES),
    default: 4_194_304,
    meaning: 'largest serialized value in bytes; a larger one is not cached',
  },
  compression: { type: 'false | object', meaning: 'false: values are not compressed' },
  /** As {@link DistributedCacheOptions.context}. */
  context: {
    rule: functionOf<NonNullable<DistributedCacheOptions['context']>>('() => object'),
    meaning: 'returns the dimensions of the current request (`{ tenant, locale }`), for `varyBy`',
  },
  codec: { type: 'object', meaning: 'the registered classes' },
  encryption: { type: 'false | object', defaultText: 'false', meaning: 'encrypts every value in Redis (AES-256-GCM)' },
  namespaces: { type: 'object', meaning: 'options by name of the namespace' },
} as const satisfies Rows<DistributedCacheOptions>;

/** The TTLs of the built-in namespaces. */
export const TTL_OPTIONS = {
  keywords: {
    rule: TTL,
    default: 86_400_000,
    variable: 'CACHE_TTL_KEYWORDS',
    meaning: 'TTL of the namespace `keywords`',
  },
  metrics: { rule: TTL, default: 43_200_000, variable: 'CACHE_TTL_METRICS', meaning: 'TTL of the namespace `metrics`' },
  trends: { rule: TTL, default: 21_600_000, variable: 'CACHE_TTL_TRENDS', meaning: 'TTL of the namespace `trends`' },
} as const satisfies Rows<NonNullable<DistributedCacheOptions['ttls']>>;

export const REDIS_OPTIONS = {
  url: {
    type: 'string',
    variable: 'REDIS_URL',
    example: 'rediss://user:password@redis.example.com:6379/0',
    meaning: '`redis://` or `rediss://` address; its parts have priority over the options below',
    variableMeaning:
      'whole address, `redis://` or `rediss://` (TLS); has priority over `REDIS_HOST`, `REDIS_PORT`, `REDIS_DB`, `REDIS_USERNAME`, `REDIS_PASSWORD` and `REDIS_SSL`',
  },
  host: { rule: HOST, default: 'localhost', variable: 'REDIS_HOST', meaning: 'host name or IP address' },
  port: { rule: PORT, default: 6379, variable: 'REDIS_PORT', meaning: 'port' },
  path: { rule: TEXT, meaning: 'path of a Unix socket; has priority over `host` and `port`' },
  db: {
    rule: integerBetween(0, Number.MAX_SAFE_INTEGER),
    default: 0,
    variable: 'REDIS_DB',
    meaning: 'database number',
    variableMeaning: 'database number; Redis Cluster has only 0',
  },
  username: {
    rule: SECRET,
    variable: 'REDIS_USERNAME',
    example: 'app',
    meaning: 'ACL user',
    variableMeaning: 'ACL user; used together with the password',
  },
  password: { rule: SECRET, variable: 'REDIS_PASSWORD', example: 'secret', meaning: 'password' },
  credentials: {
    rule: functionOf<NonNullable<RedisConnectionOptions['credentials']>>('() => { username?, password }'),
    meaning:
      'called before each connection, may return a promise: for passwords that change; has priority over `username` and `password`',
  },
  tls: {
    type: 'boolean | object',
    default: false,
    variable: 'REDIS_SSL',
    meaning: "true, or Node's TLS options; the server's certificate is always verified",
    variableMeaning: 'true: TLS, also to Sentinels; the certificate of the server is verified',
  },
  sentinels: {
    type: '{ host, port }[]',
    variable: 'REDIS_SENTINELS',
    example: 'sentinel-1.example.com:26379,sentinel-2.example.com:26379',
    meaning: 'Sentinels to ask for the master',
    variableMeaning: 'Redis Sentinel: the Sentinels, `host:port,host:port`; needs `REDIS_SENTINEL_NAME`',
  },
  name: {
    rule: TEXT,
    variable: 'REDIS_SENTINEL_NAME',
    example: 'mymaster',
    meaning: "the master's name in the Sentinels' configuration",
  },
  sentinelUsername: { rule: SECRET, meaning: 'ACL user of the Sentinels themselves' },
  sentinelPassword: { rule: SECRET, meaning: 'password of the Sentinels themselves' },
  sentinelTls: { type: 'boolean | object', defaultText: 'as `tls`', meaning: 'TLS to the Sentinels' },
  connectionName: { rule: TEXT, meaning: 'name shown by `CLIENT LIST`' },
  family: { rule: oneOf([0, 4, 6]), meaning: 'IP version; 0: either' },
  clientOptions: {
    type: 'object',
    meaning:
      "further ioredis options, passed on; they have priority over the library's. Refused: `keyPrefix`, and reads of replicas (`scaleReads`, `readOnly`, `role`)",
  },
} as const satisfies Rows<RedisConnectionOptions>;

export const CLUSTER_OPTIONS = {
  nodes: {
    type: '{ host, port }[]',
    variable: 'REDIS_CLUSTER_NODES',
    example: 'redis-1.example.com:6379,redis-2.example.com:6379',
    meaning: 'some nodes to start from; the others are discovered',
    variableMeaning: 'Redis Cluster: some of its nodes, `host:port,host:port`; IPv6 in brackets',
  },
  options: {
    type: 'object',
    meaning:
      'for every node: `username`, `password`, `credentials`, `tls`, `connectionName`, `family`, `clientOptions`',
  },
} as const satisfies Rows<RedisClusterOptions['cluster']>;

export const CLIENT_OPTIONS = {
  client: {
    type: 'object',
    meaning: "the application's own ioredis 5 or 6 `Redis` or `Cluster`; duplicated, not used itself",
  },
} as const satisfies Rows<RedisClientOption>;

export const STORE_OPTIONS = {
  store: { type: 'object', meaning: "the application's own cache-manager-ioredis-yet store; its client is duplicated" },
} as const satisfies Rows<RedisStoreOption>;

export const HOST_OPTIONS = {
  host: { rule: HOST, meaning: 'host name or IP address' },
  port: { rule: PORT, meaning: 'port' },
} as const satisfies Rows<HostAndPort>;

export const LOCAL_OPTIONS = {
  maxMemoryMb: {
    rule: numberBetween(0.001, 1_048_576),
    default: 100,
    variable: 'CACHE_MAX_MEMORY_MB',
    meaning: 'maximum heap of L1, all namespaces together, in MiB',
  },
  maxEntries: { rule: integerBetween(1, 100_000_000), meaning: 'maximum number of entries' },
  values: {
    rule: VALUES,
    default: 'cloned',
    meaning: 'how callers get values: each a copy of its own, all one deep-frozen object, or all one object as it is',
  },
} as const satisfies Rows<LocalOptions>;

export const FALLBACK_OPTIONS = {
  ttl: {
    rule: TTL,
    field: 'ttlMs',
    default: 300_000,
    variable: 'CACHE_FALLBACK_TTL',
    meaning: "longest life of an entry while Redis can't be used",
  },
} as const satisfies Rows<Exclude<NonNullable<DistributedCacheOptions['fallback']>, false>>;

export const COMPRESSION_OPTIONS = {
  thresholdBytes: {
    rule: integerBetween(0, MAX_STRING_BYTES),
    default: 1024,
    variable: 'CACHE_COMPRESSION_THRESHOLD',
    meaning: 'serialized size in bytes from which a value is compressed',
  },
  codec: {
    rule: oneOf(CODECS, 'string'),
    default: 'deflate',
    meaning:
      '`deflate`, `gzip`, `brotli`, `zstd` (a Node that has it), `lz4` (package lz4-napi), `snappy` (package snappy)',
  },
} as const satisfies Rows<CompressionOptions>;

export const CODEC_OPTIONS = {
  classes: { type: 'object', meaning: 'classes whose instances are restored as instances, by stored name' },
} as const satisfies Rows<CodecOptions>;

export const CLASS_OPTIONS = {
  class: { type: 'class', meaning: 'the class itself' },
  version: { rule: integerBetween(1, 0xffff_ffff), default: 1, meaning: 'version of the stored data' },
  serialize: {
    rule: functionOf('function'),
    defaultText: 'own properties',
    meaning: 'turns an instance into the data to store',
  },
  deserialize: { rule: functionOf('function'), defaultText: 'own properties', meaning: 'restores the instance' },
  migrate: {
    rule: functionOf('function'),
    meaning: 'turns data of an older version into data of this one; without it such an entry is a miss',
  },
} as const satisfies Rows<ClassRegistration>;

export const ENCRYPTION_OPTIONS = {
  keys: { type: 'object', meaning: '32 bytes each by id: a Buffer, or text in base64 or hexadecimal' },
  current: { rule: TEXT, meaning: 'id of the key for writing; the others are only for reading' },
} as const satisfies Rows<EncryptionOptions>;

/** The options of one namespace. Where a row has no default, the option comes from the whole cache, or there is none. */
export const NAMESPACE_OPTIONS = {
  ttl: { rule: TTL, field: 'ttlMs', defaultText: "the cache's", meaning: 'how long an entry is fresh' },
  grace: {
    rule: durationBetween(0, MAX_DURATION_MS),
    field: 'graceMs',
    default: 0,
    meaning: 'how long a stale value is kept after its TTL, to be returned when the loader fails; 0: not at all',
  },
  emptyTtl: {
    rule: TTL,
    field: 'emptyTtlMs',
    default: 60_000,
    meaning:
      'longest TTL of `null` and `undefined`, also when a call has a longer `ttl`; only a `ttl` function or `setTtl` gives another',
  },
  values: { rule: VALUES, defaultText: '`local.values`', meaning: 'as `local.values`' },
  schema: {
    rule: STANDARD_SCHEMA,
    meaning: 'the schema of the values (zod, valibot, arktype); a value from Redis that does not match is a miss',
  },
  validate: {
    rule: oneOf<ValidateMode>(['read', 'both']),
    default: 'read',
    meaning: 'both: values are also checked before they are stored',
  },
  version: { rule: VERSION, meaning: "version of the values' shape; entries of another version are misses" },
  migrate: {
    rule: functionOf<Migrate>('(value, fromVersion) => value'),
    meaning: 'turns values of another version into values of the present one; if it throws, the value is a miss',
  },
  flatten: {
    rule: BOOLEAN,
    default: false,
    meaning: 'true: instances of unregistered classes come back as plain objects; false: as instances, or not cached',
  },
  compression: { type: 'false | object', defaultText: "the cache's", meaning: 'as `compression`' },
  format: {
    rule: oneOf(FORMATS, 'string'),
    default: 'envelope',
    meaning:
      'format of the values in Redis: `envelope`, or text that other programs read: `json`, `keyv`, `cache-manager`',
  },
  legacy: {
    rule: BOOLEAN,
    defaultText: 'true, encrypted: false',
    meaning: 'whether values that another program wrote under these keys are read',
  },
  encryption: { type: 'false | object', defaultText: "the cache's", meaning: 'as `encryption`' },
} as const satisfies Rows<NamespaceOptions>;
