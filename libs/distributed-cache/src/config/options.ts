import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { Duration } from './duration.js';

/**
 * Standard Schema, version 1 (https://standardschema.dev): the interface that zod, valibot, arktype and others share.
 * Only the part in use is declared, so that no package is needed for it.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    /** Checks a value, synchronously or with a promise. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** The value as the schema outputs it, or the issues. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly object[] };

/**
 * The codecs for compression. `zstd` needs a Node that has it (22.15, 23.8 or later), `lz4` the package lz4-napi,
 * `snappy` the package snappy.
 */
export type CompressionCodec = 'deflate' | 'gzip' | 'brotli' | 'zstd' | 'lz4' | 'snappy';

/** How values are compressed before they are sent to Redis. L1 keeps values uncompressed. */
export interface CompressionOptions {
  /** Serialized size in bytes from which a value is compressed. Default 1024 (`CACHE_COMPRESSION_THRESHOLD`). */
  thresholdBytes?: number;
  /** The codec for writing. Default `deflate`. Entries written with any other codec stay readable. */
  codec?: CompressionCodec;
}

/**
 * The format of the values in Redis. `envelope`: the library's own, with all features. `json`: plain JSON text, which
 * any program reads, also cache-manager-ioredis-yet used alone. `keyv`: `{"value":…,"expires":…}`, which Keyv reads.
 * `cache-manager`: the same as a string in JSON, which cache-manager 7 reads through cache-manager-ioredis-yet. In all
 * but the first only what JSON has is kept, values carry no tags, and nothing is kept past its TTL.
 */
export type EntryFormat = 'envelope' | 'json' | 'keyv' | 'cache-manager';

/** Encryption with AES-256-GCM of every value. Its times, its stamps and its key are authenticated with it. */
export interface EncryptionOptions {
  /**
   * The keys by their ids (letters, digits, `_`, `.` and `-`, at most 64): 32 random bytes each, as a `Buffer` or
   * `Uint8Array`, or as text in base64 or hexadecimal. Entries contain the id of their key; an entry whose key is not
   * listed is a miss.
   */
  keys: Readonly<Record<string, Uint8Array | string>>;
  /** The id of the key for writing; the others are only for reading. */
  current: string;
}

/** A class with a constructor of any parameters. */
export type AnyClass = Function & { readonly prototype: object };

/** How the instances of one class are stored and restored. */
export interface ClassOptions {
  /** Version of the stored data, an integer from 1. Raise it when the shape changes. Default 1. */
  version?: number;
  /**
   * Turns an instance into the data to store; any value that the cache can keep. Default: its own enumerable
   * properties.
   */
  serialize?(instance: object): unknown;
  /** Restores the instance. Default: an object of the class's prototype with these properties; no constructor runs. */
  deserialize?(data: unknown): object;
  /**
   * Turns data of an older version into data for `deserialize`. Without it an entry of an older version is a miss; an
   * entry of a newer version always is.
   */
  migrate?(data: unknown, fromVersion: number): unknown;
}

/** The options of `@CachedClass`. */
export interface CachedClassOptions extends ClassOptions {
  /** The name in the stored data: it must not change. Default: the name of the class. */
  name?: string;
}

/** A class of another package, with the options that `@CachedClass` would take. */
export interface ClassRegistration extends ClassOptions {
  /** The class whose instances are registered. */
  class: AnyClass;
}

/** How values are turned into bytes for Redis, and back. */
export interface CodecOptions {
  /**
   * The classes whose instances are restored as instances, by the name in the stored data: it must not change, so it is
   * not taken from the class. A subclass needs a name of its own. `{ Money }` is short for `{ Money: { class: Money }
   * }`, with the options of `@CachedClass` if the class has it.
   */
  classes?: Readonly<Record<string, AnyClass | ClassRegistration>>;
}

/**
 * How callers get values. `cloned`: each a copy of its own. `frozen`: all one deep-frozen object; a value that can't be
 * frozen is copied. `shared`: all one object, without protection.
 */
export type ValuesMode = 'cloned' | 'frozen' | 'shared';

/** When values are checked against their schema: when they come from Redis, or also before they are stored. */
export type ValidateMode = 'read' | 'both';

/**
 * Upgrades a value of another version; a `fromVersion` of `undefined` means that the value has none. It must throw for
 * a value that can't be upgraded.
 */
export type Migrate = (value: unknown, fromVersion: string | number | undefined) => unknown;

/** The address of a server: a host name or an IP address, and a port. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** The login of a connection; without a name the user is `default`. */
export interface RedisCredentials {
  readonly username?: string;
  readonly password: string;
}

/** One Redis server, or Sentinels that know its address. The certificate of a TLS connection is always verified. */
export interface RedisConnectionOptions {
  /**
   * `redis://` or `rediss://` address; its parts have priority over `host`, `port`, `db`, `username`, `password` and
   * `family`.
   */
  url?: string;
  /** Default `localhost`. */
  host?: string;
  /** Default 6379. */
  port?: number;
  /** Path of a Unix socket; has priority over `host` and `port`. */
  path?: string;
  /** Database number, default 0. */
  db?: number;
  /** ACL user. Default: `default`, if there is a password. */
  username?: string;
  /** Default: no login. */
  password?: string;
  /**
   * Called before each connection, for passwords that change: tokens of a cloud provider, rotated secrets. Its result
   * has priority over `username` and `password`. If it throws, or does not return within `REDIS_TIMEOUT`, its last
   * result is used.
   */
  credentials?: () => RedisCredentials | Promise<RedisCredentials>;
  /**
   * `true`, or Node's TLS options (`ca`, `cert`, `key`, `servername`, ...) without `rejectUnauthorized: false`. Default
   * `false`.
   */
  tls?: boolean | TlsOptions;
  /** Sentinels to ask for the master called `name`. */
  sentinels?: readonly HostAndPort[];
  /** The master's name in the Sentinels' configuration. */
  name?: string;
  /** ACL user of the Sentinels themselves. */
  sentinelUsername?: string;
  /** Password of the Sentinels themselves; that of the master is `password`. */
  sentinelPassword?: string;
  /** TLS of the connections to Sentinels. Default: as `tls`. */
  sentinelTls?: boolean | TlsOptions;
  /** Name shown by `CLIENT LIST`. */
  connectionName?: string;
  /** IP version: 4, 6 or 0 (either). */
  family?: 0 | 4 | 6;
  /**
   * Further ioredis options, passed on unchanged. They have priority over this library's options: `enableOfflineQueue:
   * true` brings back unlimited waiting.
   */
  clientOptions?: Readonly<Record<string, unknown>>;
}

/**
 * A Redis Cluster. Each master has its own circuit breaker: while one of them can't be used, the keys of the others are
 * served from Redis.
 */
export interface RedisClusterOptions {
  /** The Cluster, by some of its nodes. */
  cluster: {
    /** Some nodes to start from; the others are discovered. */
    nodes: readonly HostAndPort[];
    /** The connection options of every node: `username`, `password`, `tls` and the like. */
    options?: Omit<RedisConnectionOptions, 'url' | 'host' | 'port' | 'path' | 'db' | 'sentinels' | 'name'>;
  };
}

/**
 * A connected or connecting ioredis 5 or 6 `Redis` or `Cluster`. It is duplicated: the cache has its own connections to
 * the same servers, with the same login.
 */
export interface RedisClientOption {
  client: object;
}

/** A cache-manager-ioredis-yet store; only its `client` is read, and duplicated. */
export interface RedisStoreOption {
  store: { readonly client: object };
}

/**
 * The Redis to use: `false` for none, connection options (one server, or Sentinels), a Cluster, or a client or store of
 * the application.
 */
export type RedisOption = false | RedisConnectionOptions | RedisClusterOptions | RedisClientOption | RedisStoreOption;

/** The options of L1, the memory of this process. */
export interface LocalOptions {
  /** Maximum heap of L1, all namespaces together, in MiB. Default 100 (`CACHE_MAX_MEMORY_MB`). */
  maxMemoryMb?: number;
  /** Maximum number of entries. Default: no limit besides memory. */
  maxEntries?: number;
  /** How callers get values. Default `cloned`. */
  values?: ValuesMode;
}

/** Options of one namespace; an option that is not given comes from the cache's own options. */
export interface NamespaceOptions {
  /** How long an entry is fresh. Default: the cache's `ttl`. */
  ttl?: Duration;
  /** How long a stale value is kept after its TTL, to be returned when the loader fails. Default 0: none. */
  grace?: Duration;
  /**
   * Longest TTL of `null` and `undefined`, also when a call has a longer `ttl`; only a `ttl` function or `setTtl` gives
   * another. Default: 60 s, or the TTL when that is shorter.
   */
  emptyTtl?: Duration;
  /** How callers get values. Default: `local.values`. */
  values?: ValuesMode;
  /**
   * The schema of the values: any Standard Schema (zod, valibot, arktype). A value from Redis that does not match is a
   * miss; one that matches is returned as the schema outputs it. A schema that throws counts as no match. Default:
   * none.
   */
  schema?: StandardSchemaV1;
  /**
   * With `both` values are also checked before they are stored; one that does not match is returned and not cached.
   * Default `read`.
   */
  validate?: ValidateMode;
  /**
   * The version of the values' shape. Entries of another version are misses: raise it when the shape changes. Default:
   * none.
   */
  version?: string | number;
  /**
   * Turns values of another version into values of the present one, when they are read; if it throws, the value is a
   * miss. Needs a `version`.
   */
  migrate?: Migrate;
  /**
   * `true`: instances of classes that are neither registered nor declared come back as plain objects of their own
   * properties, or as the result of their `toJSON`; named properties of arrays, symbol keys and the like are dropped.
   * Default false: instances come back as instances, and a value that can't come back as it is is not cached.
   */
  flatten?: boolean;
  /** The compression of the values. Default: the cache's `compression`. */
  compression?: false | CompressionOptions;
  /** The format of the values in Redis. Default `envelope`. */
  format?: EntryFormat;
  /**
   * Whether a value that another program has written under a key of this namespace (JSON, cache-manager-ioredis-yet,
   * Keyv) is read. Such values count until the namespace is cleared for the first time. Default true; false when values
   * are encrypted.
   */
  legacy?: boolean;
  /** The namespace's own keys; `false`: not encrypted, although the cache is. Default: the cache's `encryption`. */
  encryption?: false | EncryptionOptions;
}

/**
 * Options of the whole cache. Code has priority over environment, and environment over default; an unknown option is an
 * error.
 */
export interface DistributedCacheOptions {
  /**
   * `false`: every decorated method runs as if undecorated and no connection is opened. Default true (`CACHE_ENABLED`).
   */
  enabled?: boolean;
  /** First part of every key in Redis. Default `cache` (`CACHE_KEY_PREFIX`). */
  keyPrefix?: string;
  /** TTL of namespaces without their own. Default one hour (`CACHE_TTL_DEFAULT`). */
  ttl?: Duration;
  /** TTLs of the three built-in namespaces. Defaults 24 h, 12 h, 6 h. */
  ttls?: { keywords?: Duration; metrics?: Duration; trends?: Duration };
  /**
   * The Redis to use; `false`: no Redis at all. Default: the `REDIS_*` variables, else `localhost:6379`. It is taken as
   * a whole: when it is given, those variables are not mixed into it.
   */
  redis?: RedisOption;
  /** The options of L1; `false`: no L1. */
  local?: false | LocalOptions;
  /**
   * What L1 does while Redis can't be used; `false`: nothing, every call runs its loader. An object sets the TTL
   * (default 300 s, `CACHE_FALLBACK_TTL`) and leaves the switch to `CACHE_FALLBACK_ENABLED`.
   */
  fallback?: false | { ttl?: Duration };
  /**
   * The longest time that one cache operation may add to a call, in milliseconds. Default 300 (`CACHE_DEADLINE_MS`).
   */
  deadlineMs?: number;
  /** Hard limit of one Redis command and of opening a connection. Default 5 s (`REDIS_TIMEOUT`). */
  redisTimeout?: Duration;
  /** Time between two checks of the connection, in milliseconds. Default 1000. */
  heartbeatMs?: number;
  /**
   * Whether about one hit of L1 a second is compared with Redis: a process sends one more short command a second, and no
   * call waits for it. An entry that differs for ten seconds is dropped (event `diverged`). Default true.
   */
  consistencyChecks?: boolean;
  /** Time between two health checks that are logged. Default 30 s (`REDIS_HEALTH_CHECK_INTERVAL`). */
  healthCheckInterval?: Duration;
  /**
   * `true`: health is `down`, not `degraded`, while Redis can't be used. `'at-start'`: the start fails with a
   * `RedisRequiredError` too, when Redis can't be used then. Default false.
   */
  requireRedis?: boolean | 'at-start';
  /**
   * `true`: a `set`, deletion, `clear` or tag invalidation counts as done only when a replica has it, too. If none has
   * it within a third of `deadlineMs` (100 ms at most), it is journalled and repeated until one has. For Redis with
   * replicas: without one no `set` is ever done. Costs a round trip to the replica. Default false: a failover may undo
   * a change that was just acknowledged.
   */
  strict?: boolean;
  /**
   * `true`: each hit, miss, set and deletion is a line of the log at level `debug`, which Nest's logger writes unless
   * it is configured otherwise. Default false: they are only counted (`CACHE_LOG_LOOKUPS`).
   */
  logLookups?: boolean;
  /**
   * `true`: what the check at the start finds (classes whose default keys collide, evictions that reach no entry) stops
   * the start with a `StartCheckError`. Default false: it is one entry of the log. Only with the Nest module.
   */
  strictStart?: boolean;
  /** Largest serialized value, in bytes; a larger one is not cached. Default 4 MiB. */
  maxValueBytes?: number;
  /** The compression of values in Redis; `false`: none. Default: `deflate` from 1024 bytes on. */
  compression?: false | CompressionOptions;
  /**
   * The dimensions of the current request, for `varyBy`: from the application's request context, such as nestjs-cls.
   * Called only for a dimension that `CacheContext.run` does not give. If it throws, or a dimension is missing, the
   * call is not cached. Default: none.
   */
  context?: () => Readonly<Record<string, string | number | boolean | bigint | null | undefined>> | undefined;
  /** The registered classes: their instances are restored as instances. */
  codec?: CodecOptions;
  /** Encrypts every value in Redis. Default false. */
  encryption?: false | EncryptionOptions;
  /** Options by namespace. */
  namespaces?: Readonly<Record<string, NamespaceOptions>>;
}

/** {@link RedisOption} after environment and defaults, by kind. */
export type ResolvedRedis =
  | { readonly kind: 'none' }
  | { readonly kind: 'single'; readonly connection: Omit<RedisConnectionOptions, 'url'> }
  | {
      readonly kind: 'cluster';
      readonly nodes: readonly HostAndPort[];
      readonly connection: Omit<RedisConnectionOptions, 'url'>;
    }
  | { readonly kind: 'client'; readonly client: object };
