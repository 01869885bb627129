import {
  type CodecOptions,
  type CompressionOptions,
  type EncryptionOptions,
  MAX_STRING_BYTES,
} from './codec-schema.js';
import { MAX_DURATION_MS } from './duration.js';
import type { RedisOption } from './redis-schema.js';
import type { CompanionOptions, WarmUpOptions } from './warm-schema.js';
import {
  BOOLEAN,
  durationBetween,
  functionOf,
  integerBetween,
  NAME,
  numberBetween,
  oneOf,
  type OptionOf,
  type OptionTable,
  STANDARD_SCHEMA,
  type TextRule,
  typed,
  VERSION,
} from './rules.js';

/*
 * The options of the cache, with codec-schema.ts and redis-schema.ts. One row is one option: its docstring, its rule
 * (type, limits), its default, its environment variable and its meaning. The public types, validation, defaults, the
 * reading of the environment, `.env.example` and the tables of the documentation come from these rows. A row without a
 * rule belongs to an option that a function of its own reads.
 *
 * Editors show the docstring of a row at the option: a mapped type keeps it. Each public type is a mapped type of its own
 * and not a helper type with arguments, so that messages of the compiler show its name.
 */

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
/**
 * How callers get values. `cloned`: each a copy of its own. `frozen`: all one deep-frozen object; a value that can't be
 * frozen is copied. `shared`: all one object, without protection.
 */
export type ValuesMode = 'cloned' | 'frozen' | 'shared';

const VALUES = oneOf<ValuesMode>(['cloned', 'frozen', 'shared']);
/**
 * The format of the values in Redis. `envelope`: the library's own, with all features. `json`: plain JSON text, which
 * any program reads, also cache-manager-ioredis-yet used alone. `keyv`: `{"value":…,"expires":…}`, which Keyv reads.
 * `cache-manager`: the same as a string in JSON, which cache-manager 7 reads through cache-manager-ioredis-yet. In all
 * but the first only what JSON has is kept, values carry no tags, and nothing is kept past its TTL.
 */
export type EntryFormat = 'envelope' | 'json' | 'keyv' | 'cache-manager';

const FORMATS: readonly EntryFormat[] = ['envelope', 'json', 'keyv', 'cache-manager'];

/** When values are checked against their schema: when they come from Redis, or also before they are stored. */
export type ValidateMode = 'read' | 'both';

/**
 * Upgrades a value of another version; a `fromVersion` of `undefined` means that the value has none. It must throw for
 * a value that can't be upgraded.
 */
export type Migrate = (value: unknown, fromVersion: string | number | undefined) => unknown;

/** The TTLs of the built-in namespaces. */
export const TTL_OPTIONS = {
  /** Default 24 h (`CACHE_TTL_KEYWORDS`). */
  keywords: {
    rule: TTL,
    default: 86_400_000,
    variable: 'CACHE_TTL_KEYWORDS',
    meaning: 'TTL of the namespace `keywords`',
  },
  /** Default 12 h (`CACHE_TTL_METRICS`). */
  metrics: { rule: TTL, default: 43_200_000, variable: 'CACHE_TTL_METRICS', meaning: 'TTL of the namespace `metrics`' },
  /** Default 6 h (`CACHE_TTL_TRENDS`). */
  trends: { rule: TTL, default: 21_600_000, variable: 'CACHE_TTL_TRENDS', meaning: 'TTL of the namespace `trends`' },
} as const satisfies OptionTable;
type TtlOptions = { -readonly [Name in keyof typeof TTL_OPTIONS]?: OptionOf<(typeof TTL_OPTIONS)[Name]> };

export const LOCAL_OPTIONS = {
  /** Maximum heap of L1, all namespaces together, in MiB. Default 100 (`CACHE_MAX_MEMORY_MB`). */
  maxMemoryMb: {
    rule: numberBetween(0.001, 1_048_576),
    default: 100,
    variable: 'CACHE_MAX_MEMORY_MB',
    meaning: 'maximum heap of L1, all namespaces together, in MiB',
  },
  /** Maximum number of entries. Default: no limit besides memory. */
  maxEntries: { rule: integerBetween(1, 100_000_000), meaning: 'maximum number of entries' },
  /** How callers get values. Default `cloned`. */
  values: {
    rule: VALUES,
    default: 'cloned',
    meaning: 'how callers get values: each a copy of its own, all one deep-frozen object, or all one object as it is',
  },
} as const satisfies OptionTable;

/**
 * The options of L1, the memory of this process.
 * @interface
 */
export type LocalOptions = { -readonly [Name in keyof typeof LOCAL_OPTIONS]?: OptionOf<(typeof LOCAL_OPTIONS)[Name]> };

export const FALLBACK_OPTIONS = {
  /** Longest life of an entry while Redis can't be used. Default 300 s (`CACHE_FALLBACK_TTL`). */
  ttl: {
    rule: TTL,
    field: 'ttlMs',
    default: 300_000,
    variable: 'CACHE_FALLBACK_TTL',
    meaning: "longest life of an entry while Redis can't be used",
  },
} as const satisfies OptionTable;
type FallbackOptions = {
  -readonly [Name in keyof typeof FALLBACK_OPTIONS]?: OptionOf<(typeof FALLBACK_OPTIONS)[Name]>;
};

/** The options of one namespace. Where a row has no default, the option comes from the whole cache, or there is none. */
export const NAMESPACE_OPTIONS = {
  /** How long an entry is fresh. Default: the cache's `ttl`. */
  ttl: { rule: TTL, field: 'ttlMs', defaultText: "the cache's", meaning: 'how long an entry is fresh' },
  /** How long a stale value is kept after its TTL, to be returned when the loader fails. Default 0: none. */
  grace: {
    rule: durationBetween(0, MAX_DURATION_MS),
    field: 'graceMs',
    default: 0,
    meaning: 'how long a stale value is kept after its TTL, to be returned when the loader fails; 0: not at all',
  },
  /**
   * Longest TTL of `null` and `undefined`, also when a call has a longer `ttl`; only a `ttl` function or `setTtl` gives
   * another. Default: 60 s, or the TTL when that is shorter.
   */
  emptyTtl: {
    rule: TTL,
    field: 'emptyTtlMs',
    default: 60_000,
    meaning:
      'longest TTL of `null` and `undefined`, also when a call has a longer `ttl`; only a `ttl` function or `setTtl` gives another',
  },
  /** How callers get values. Default: `local.values`. */
  values: { rule: VALUES, defaultText: '`local.values`', meaning: 'as `local.values`' },
  /**
   * The schema of the values: any Standard Schema (zod, valibot, arktype). A value from Redis that does not match is a
   * miss; one that matches is returned as the schema outputs it. A schema that throws counts as no match. Default:
   * none.
   */
  schema: {
    rule: STANDARD_SCHEMA,
    meaning: 'the schema of the values (zod, valibot, arktype); a value from Redis that does not match is a miss',
  },
  /**
   * With `both` values are also checked before they are stored; one that does not match is returned and not cached.
   * Default `read`.
   */
  validate: {
    rule: oneOf<ValidateMode>(['read', 'both']),
    default: 'read',
    meaning: 'both: values are also checked before they are stored',
  },
  /**
   * The version of the values' shape. Entries of another version are misses: raise it when the shape changes. Default:
   * none.
   */
  version: { rule: VERSION, meaning: "version of the values' shape; entries of another version are misses" },
  /**
   * Turns values of another version into values of the present one, when they are read; if it throws, the value is a
   * miss. Needs a `version`.
   */
  migrate: {
    rule: functionOf<Migrate>('(value, fromVersion) => value'),
    meaning: 'turns values of another version into values of the present one; if it throws, the value is a miss',
  },
  /**
   * `true`: instances of classes that are neither registered nor declared come back as plain objects of their own
   * properties, or as the result of their `toJSON`; named properties of arrays, symbol keys and the like are dropped.
   * Default false: instances come back as instances, and a value that can't come back as it is is not cached.
   */
  flatten: {
    rule: BOOLEAN,
    default: false,
    meaning: 'true: instances of unregistered classes come back as plain objects; false: as instances, or not cached',
  },
  /** The compression of the values. Default: the cache's `compression`. */
  compression: {
    ...typed<false | CompressionOptions>('false | object'),
    defaultText: "the cache's",
    meaning: 'as `compression`',
  },
  /**
   * Whether L1 learns which keys are missed one after the other, and reads those that will be missed next in the same
   * command as the key that a call asks for. It stops by itself while less than half of them are used. No loader runs
   * for them, and while Redis can't be used none is read. Default false.
   */
  companions: {
    ...typed<boolean | CompanionOptions>('boolean | object'),
    defaultText: 'false',
    meaning: 'whether a miss of L1 also reads the keys that have followed it before, in the same command',
  },
  /** The format of the values in Redis. Default `envelope`. */
  format: {
    rule: oneOf(FORMATS, 'string'),
    default: 'envelope',
    meaning:
      'format of the values in Redis: `envelope`, or text that other programs read: `json`, `keyv`, `cache-manager`',
  },
  /**
   * Whether a value that another program has written under a key of this namespace (JSON, cache-manager-ioredis-yet,
   * Keyv) is read. Such values count until the namespace is cleared for the first time. Default true; false when values
   * are encrypted.
   */
  legacy: {
    rule: BOOLEAN,
    defaultText: 'true, encrypted: false',
    meaning: 'whether values that another program wrote under these keys are read',
  },
  /** The namespace's own keys; `false`: not encrypted, although the cache is. Default: the cache's `encryption`. */
  encryption: {
    ...typed<false | EncryptionOptions>('false | object'),
    defaultText: "the cache's",
    meaning: 'as `encryption`',
  },
} as const satisfies OptionTable;

/**
 * Options of one namespace; an option that is not given comes from the cache's own options.
 * @interface
 */
export type NamespaceOptions = {
  -readonly [Name in keyof typeof NAMESPACE_OPTIONS]?: OptionOf<(typeof NAMESPACE_OPTIONS)[Name]>;
};

/** Dimensions of a request by name. */
type Dimensions = Readonly<Record<string, string | number | boolean | bigint | null | undefined>>;

/** The options of the whole cache. */
export const CACHE_OPTIONS = {
  /**
   * `false`: every decorated method runs as if undecorated and no connection is opened. Default true (`CACHE_ENABLED`).
   */
  enabled: {
    rule: BOOLEAN,
    default: true,
    variable: 'CACHE_ENABLED',
    meaning: 'false: every decorated method runs as if undecorated, and no connection is opened (the rollback switch)',
  },
  /** First part of every key in Redis. Default `cache` (`CACHE_KEY_PREFIX`). */
  keyPrefix: {
    rule: NAME,
    default: 'cache',
    variable: 'CACHE_KEY_PREFIX',
    meaning: 'first part of every key in Redis: letters, digits, `_`, `.`, `-`',
  },
  /** TTL of namespaces without their own. Default one hour (`CACHE_TTL_DEFAULT`). */
  ttl: {
    rule: TTL,
    field: 'ttlMs',
    default: 3_600_000,
    variable: 'CACHE_TTL_DEFAULT',
    meaning: 'TTL of namespaces without their own',
  },
  /** TTLs of the three built-in namespaces. Defaults 24 h, 12 h, 6 h. */
  ttls: { ...typed<TtlOptions>('object'), meaning: 'TTLs of the three built-in namespaces' },
  /**
   * The Redis to use; `false`: no Redis at all. Default: the `REDIS_*` variables, else `localhost:6379`. It is taken as
   * a whole: when it is given, those variables are not mixed into it.
   */
  redis: {
    ...typed<RedisOption>('false | object'),
    meaning: 'the Redis to use; false: no Redis. Not given: the `REDIS_*` variables',
  },
  /** The options of L1; `false`: no L1. */
  local: { ...typed<false | LocalOptions>('false | object'), meaning: 'L1, the memory of this process; false: no L1' },
  /**
   * What L1 does while Redis can't be used; `false`: nothing, every call runs its loader. An object sets the TTL
   * (default 300 s, `CACHE_FALLBACK_TTL`) and leaves the switch to `CACHE_FALLBACK_ENABLED`.
   */
  fallback: {
    ...typed<false | FallbackOptions>('false | object'),
    field: 'fallbackEnabled',
    default: true,
    defaultText: '',
    variable: 'CACHE_FALLBACK_ENABLED',
    meaning: "false: L1 does not serve while Redis can't be used",
  },
  /**
   * The longest time that one cache operation may add to a call, in milliseconds. Default 300 (`CACHE_DEADLINE_MS`).
   */
  deadlineMs: {
    rule: integerBetween(1, 60_000),
    default: 300,
    variable: 'CACHE_DEADLINE_MS',
    meaning:
      'the longest time that one cache operation may add to a call before it goes on without Redis, in milliseconds',
  },
  /** Hard limit of one Redis command and of opening a connection. Default 5 s (`REDIS_TIMEOUT`). */
  redisTimeout: {
    rule: durationBetween(1, ONE_HOUR_MS),
    field: 'commandTimeoutMs',
    default: 5000,
    variable: 'REDIS_TIMEOUT',
    meaning:
      'hard limit of one Redis command and of opening a connection; a call waits no longer than `CACHE_DEADLINE_MS`',
  },
  /** Time between two checks of the connection, in milliseconds. Default 1000. */
  heartbeatMs: {
    rule: integerBetween(50, ONE_HOUR_MS),
    default: 1000,
    meaning: 'time between two checks of the connection, in milliseconds',
  },
  /**
   * Whether about one hit of L1 a second is compared with Redis: a process sends one more short command a second, and no
   * call waits for it. An entry that differs for ten seconds is dropped (event `diverged`). Default true.
   */
  consistencyChecks: {
    rule: BOOLEAN,
    default: true,
    meaning:
      'whether about one hit of L1 a second is compared with Redis, one short command each (`cache_consistency_checks_total`)',
  },
  /** Time between two health checks that are logged. Default 30 s (`REDIS_HEALTH_CHECK_INTERVAL`). */
  healthCheckInterval: {
    rule: durationBetween(1, LONGEST_TIMER_MS),
    field: 'healthCheckIntervalMs',
    default: 30_000,
    variable: 'REDIS_HEALTH_CHECK_INTERVAL',
    meaning: 'time between two health checks that are logged',
  },
  /**
   * `true`: health is `down`, not `degraded`, while Redis can't be used. `'at-start'`: the start fails with a
   * `RedisRequiredError` too, when Redis can't be used then. Default false.
   */
  requireRedis: {
    rule: REQUIRE_REDIS,
    default: false,
    meaning:
      "true: health is `down`, not `degraded`, while Redis can't be used; `'at-start'`: the start of the application fails, too, if Redis can't be used then",
  },
  /**
   * `true`: a `set`, deletion, `clear` or tag invalidation counts as done only when a replica has it, too. If none has
   * it within a third of `deadlineMs` (100 ms at most), it is journalled and repeated until one has. For Redis with
   * replicas: without one no `set` is ever done. Costs a round trip to the replica. Default false: a failover may undo
   * a change that was just acknowledged.
   */
  strict: {
    rule: BOOLEAN,
    default: false,
    meaning: 'true: a change counts once a replica has it too, else it is journalled and repeated: see guarantees',
  },
  /**
   * `true`: each hit, miss, set and deletion is a line of the log at level `debug`, which Nest's logger writes unless
   * it is configured otherwise. Default false: they are only counted (`CACHE_LOG_LOOKUPS`).
   */
  logLookups: {
    rule: BOOLEAN,
    default: false,
    variable: 'CACHE_LOG_LOOKUPS',
    meaning: 'true: each hit, miss, set, deletion and other change is a line of the log at level `debug`',
  },
  /**
   * `true`: what the check at the start finds (classes whose default keys collide, evictions that reach no entry) stops
   * the start with a `StartCheckError`. Default false: it is one entry of the log. Only with the Nest module.
   */
  strictStart: {
    rule: BOOLEAN,
    default: false,
    variable: 'CACHE_STRICT_START',
    meaning: 'true: what the check of the decorators at the start finds stops the start; false: it is logged',
  },
  /**
   * The name of this region, for the relay of invalidations between regions that have a Redis of their own each. With it
   * every change (`set`, deletion, `expire`, `clear`, invalidated tags) also writes its keys to a stream of Redis, from
   * which `nestjs-distributed-cache/relay` tells the other regions. Default: none, and nothing is written
   * (`CACHE_REGION`).
   */
  region: {
    rule: NAME,
    variable: 'CACHE_REGION',
    meaning: 'name of this region; with it changes are recorded for the [relay to other regions](regions.md)',
  },
  /** Largest serialized value, in bytes; a larger one is not cached. Default 4 MiB. */
  maxValueBytes: {
    rule: integerBetween(1, MAX_STRING_BYTES),
    default: 4_194_304,
    meaning: 'largest serialized value in bytes; a larger one is not cached',
  },
  /** The compression of values in Redis; `false`: none. Default: `deflate` from 1024 bytes on. */
  compression: { ...typed<false | CompressionOptions>('false | object'), meaning: 'false: values are not compressed' },
  /**
   * The dimensions of the current request, for `varyBy`: from the application's request context, such as nestjs-cls.
   * Called only for a dimension that `CacheContext.run` does not give. If it throws, or a dimension is missing, the
   * call is not cached. Default: none.
   */
  context: {
    rule: functionOf<() => Dimensions | undefined>('() => object'),
    meaning: 'returns the dimensions of the current request (`{ tenant, locale }`), for `varyBy`',
  },
  /** The registered classes: their instances are restored as instances. */
  codec: { ...typed<CodecOptions>('object'), meaning: 'the registered classes' },
  /** Encrypts every value in Redis. Default false. */
  encryption: {
    ...typed<false | EncryptionOptions>('false | object'),
    defaultText: 'false',
    meaning: 'encrypts every value in Redis (AES-256-GCM)',
  },
  /**
   * Fills L1 at the start with the keys that are used most, as recorded in Redis. No start waits for it. Default false.
   */
  warmUp: {
    ...typed<false | WarmUpOptions>('false | object'),
    defaultText: 'false',
    meaning: 'fills L1 at the start with the keys that are used most, as recorded in Redis',
  },
  /** Options by namespace. */
  namespaces: {
    ...typed<Readonly<Record<string, NamespaceOptions>>>('object'),
    meaning: 'options by name of the namespace',
  },
} as const satisfies OptionTable;

/**
 * Options of the whole cache. Code has priority over environment, and environment over default; an unknown option is an
 * error.
 * @interface
 */
export type DistributedCacheOptions = {
  -readonly [Name in keyof typeof CACHE_OPTIONS]?: OptionOf<(typeof CACHE_OPTIONS)[Name]>;
};
