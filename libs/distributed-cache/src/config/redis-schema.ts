import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { type ProblemList, show } from './problems.js';
import {
  functionOf,
  HOST,
  integerBetween,
  isRecord,
  oneOf,
  type OptionOf,
  type OptionTable,
  PORT,
  type Rows,
  SECRET,
  TEXT,
  typed,
} from './rules.js';

/*
 * The option `redis` in all its forms: rows as in schema.ts, and the types of what they hold.
 */

/** The address of a server: a host name or an IP address, and a port. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

export const HOST_OPTIONS = {
  host: { rule: HOST, meaning: 'host name or IP address' },
  port: { rule: PORT, meaning: 'port' },
} as const satisfies Rows<HostAndPort>;

/** Where a process reads and listens, in more detail than its word. */
export interface RedisHomeOptions {
  /** The replicas to choose from. Default: those that the primary names. */
  readonly nodes?: readonly HostAndPort[];
  /** How one of them is chosen. Default `'nearest'`. */
  readonly pick?: 'nearest' | 'spread';
  /** The most that the home may lag behind the primary, in milliseconds, from 10 to 60,000. Default 1000. */
  readonly maxLagMs?: number;
}

export const HOME_OPTIONS = {
  nodes: {
    ...typed<readonly HostAndPort[]>('{ host, port }[]'),
    variable: 'REDIS_HOME_NODES',
    example: 'replica-1.example.com:6379,replica-2.example.com:6379',
    defaultText: 'those that the primary names',
    meaning: 'the replicas to choose from',
    variableMeaning:
      'the replicas that `REDIS_HOME` chooses from, `host:port,host:port`; without it, those that the primary names',
  },
  pick: { rule: oneOf(['nearest', 'spread']), default: 'nearest', meaning: 'how one of the replicas is chosen' },
  maxLagMs: {
    rule: integerBetween(10, 60_000),
    default: 1000,
    meaning: 'milliseconds that the home may lag behind the primary; a home that lags more is left',
  },
} as const satisfies Rows<RedisHomeOptions>;

/** The word for where a process reads and listens. */
export const HOME_WORD = oneOf(['primary', 'nearest', 'spread']);

/** {@link RedisHomeOptions} after environment and defaults; absent when the primary is the home. */
export interface ResolvedHome {
  readonly nodes?: readonly HostAndPort[];
  readonly pick: 'nearest' | 'spread';
  readonly maxLagMs: number;
}

/** The login of a connection; without a name the user is `default`. */
export interface RedisCredentials {
  readonly username?: string;
  readonly password: string;
}

export const REDIS_OPTIONS = {
  /**
   * `redis://` or `rediss://` address; its parts have priority over `host`, `port`, `db`, `username`, `password` and
   * `family`.
   */
  url: {
    ...typed<string>('string'),
    variable: 'REDIS_URL',
    example: 'rediss://user:password@redis.example.com:6379/0',
    meaning: '`redis://` or `rediss://` address; its parts have priority over the options below',
    variableMeaning:
      'whole address, `redis://` or `rediss://` (TLS); has priority over `REDIS_HOST`, `REDIS_PORT`, `REDIS_DB`, `REDIS_USERNAME`, `REDIS_PASSWORD` and `REDIS_SSL`',
  },
  /** Default `localhost`. */
  host: { rule: HOST, default: 'localhost', variable: 'REDIS_HOST', meaning: 'host name or IP address' },
  /** Default 6379. */
  port: { rule: PORT, default: 6379, variable: 'REDIS_PORT', meaning: 'port' },
  /** Path of a Unix socket; has priority over `host` and `port`. */
  path: { rule: TEXT, meaning: 'path of a Unix socket; has priority over `host` and `port`' },
  /** Database number, default 0. */
  db: {
    rule: integerBetween(0, Number.MAX_SAFE_INTEGER),
    default: 0,
    variable: 'REDIS_DB',
    meaning: 'database number',
    variableMeaning: 'database number; Redis Cluster has only 0',
  },
  /** ACL user. Default: `default`, if there is a password. */
  username: {
    rule: SECRET,
    variable: 'REDIS_USERNAME',
    example: 'app',
    meaning: 'ACL user',
    variableMeaning: 'ACL user; used together with the password',
  },
  /** Default: no login. */
  password: { rule: SECRET, variable: 'REDIS_PASSWORD', example: 'secret', meaning: 'password' },
  /**
   * Called before each connection, for passwords that change: tokens of a cloud provider, rotated secrets. Its result
   * has priority over `username` and `password`. If it throws, or does not return within `REDIS_TIMEOUT`, its last
   * result is used.
   */
  credentials: {
    rule: functionOf<() => RedisCredentials | Promise<RedisCredentials>>('() => { username?, password }'),
    meaning:
      'called before each connection, may return a promise: for passwords that change; has priority over `username` and `password`',
  },
  /**
   * `true`, or Node's TLS options (`ca`, `cert`, `key`, `servername`, ...) without `rejectUnauthorized: false`. Default
   * `false`.
   */
  tls: {
    ...typed<boolean | TlsOptions>('boolean | object'),
    default: false,
    variable: 'REDIS_SSL',
    meaning: "true, or Node's TLS options; the server's certificate is always verified",
    variableMeaning: 'true: TLS, also to Sentinels; the certificate of the server is verified',
  },
  /** Sentinels to ask for the master called `name`. */
  sentinels: {
    ...typed<readonly HostAndPort[]>('{ host, port }[]'),
    variable: 'REDIS_SENTINELS',
    example: 'sentinel-1.example.com:26379,sentinel-2.example.com:26379',
    meaning: 'Sentinels to ask for the master',
    variableMeaning: 'Redis Sentinel: the Sentinels, `host:port,host:port`; needs `REDIS_SENTINEL_NAME`',
  },
  /** The master's name in the Sentinels' configuration. */
  name: {
    rule: TEXT,
    variable: 'REDIS_SENTINEL_NAME',
    example: 'mymaster',
    meaning: "the master's name in the Sentinels' configuration",
  },
  /** ACL user of the Sentinels themselves. */
  sentinelUsername: { rule: SECRET, meaning: 'ACL user of the Sentinels themselves' },
  /** Password of the Sentinels themselves; that of the master is `password`. */
  sentinelPassword: { rule: SECRET, meaning: 'password of the Sentinels themselves' },
  /** TLS of the connections to Sentinels. Default: as `tls`. */
  sentinelTls: {
    ...typed<boolean | TlsOptions>('boolean | object'),
    defaultText: 'as `tls`',
    meaning: 'TLS to the Sentinels',
  },
  /**
   * The server that this process reads from and listens at; it writes to the primary and takes leases there. `primary`;
   * `nearest`: the replica that answers fastest; `spread`: of two random replicas the one with fewer clients; or an object
   * with `nodes`, `pick` and `maxLagMs`. Default `'primary'`.
   */
  home: {
    ...typed<'primary' | 'nearest' | 'spread' | RedisHomeOptions>("'primary' | 'nearest' | 'spread' | object"),
    default: 'primary',
    variable: 'REDIS_HOME',
    meaning: 'the server that this process reads from and listens at: see [home replica](home-replica.md)',
    variableMeaning:
      '`primary`, `nearest` or `spread`: the server that this process reads from and listens at: see [home replica](home-replica.md)',
  },
  /** Name shown by `CLIENT LIST`. */
  connectionName: { rule: TEXT, meaning: 'name shown by `CLIENT LIST`' },
  /** IP version: 4, 6 or 0 (either). */
  family: { rule: oneOf([0, 4, 6]), meaning: 'IP version; 0: either' },
  /**
   * Further ioredis options, passed on unchanged. They have priority over this library's options: `enableOfflineQueue:
   * true` brings back unlimited waiting.
   */
  clientOptions: {
    ...typed<Readonly<Record<string, unknown>>>('object'),
    meaning:
      "further ioredis options, passed on; they have priority over the library's. Refused: `keyPrefix`, and reads of replicas (`scaleReads`, `readOnly`, `role`)",
  },
} as const satisfies OptionTable;

/**
 * One Redis server, or Sentinels that know its address. The certificate of a TLS connection is always verified.
 * @interface
 */
export type RedisConnectionOptions = {
  -readonly [Name in keyof typeof REDIS_OPTIONS]?: OptionOf<(typeof REDIS_OPTIONS)[Name]>;
};

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
    options?: Omit<RedisConnectionOptions, 'url' | 'host' | 'port' | 'path' | 'db' | 'sentinels' | 'name' | 'home'>;
  };
}

export const CLIENT_OPTIONS = {
  client: {
    type: 'object',
    meaning: "the application's own ioredis 5 or 6 `Redis` or `Cluster`; duplicated, not used itself",
  },
} as const satisfies Rows<RedisClientOption>;

/**
 * A connected or connecting ioredis 5 or 6 `Redis` or `Cluster`. It is duplicated: the cache has its own connections to
 * the same servers, with the same login.
 */
export interface RedisClientOption {
  client: object;
}

export const STORE_OPTIONS = {
  store: { type: 'object', meaning: "the application's own cache-manager-ioredis-yet store; its client is duplicated" },
} as const satisfies Rows<RedisStoreOption>;

/** A cache-manager-ioredis-yet store; only its `client` is read, and duplicated. */
export interface RedisStoreOption {
  store: { readonly client: object };
}

/**
 * The Redis to use: `false` for none, connection options (one server, or Sentinels), a Cluster, or a client or store of
 * the application.
 */
export type RedisOption = false | RedisConnectionOptions | RedisClusterOptions | RedisClientOption | RedisStoreOption;

/** {@link RedisOption} after environment and defaults, by kind. */
export type ResolvedRedis =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'single';
      readonly connection: Omit<RedisConnectionOptions, 'url' | 'home'>;
      /** Absent when the primary is the home. */
      readonly home?: ResolvedHome;
    }
  | {
      readonly kind: 'cluster';
      readonly nodes: readonly HostAndPort[];
      readonly connection: Omit<RedisConnectionOptions, 'url' | 'home'>;
    }
  | { readonly kind: 'client'; readonly client: object };

interface ClientOptionRule {
  readonly name: string;
  readonly isWrong: (value: unknown) => boolean;
  readonly allowed: string;
}

const NO_KEY_PREFIX: ClientOptionRule = {
  name: 'keyPrefix',
  isWrong: (value) => value !== undefined && value !== '',
  allowed:
    'nothing: give the keyPrefix option of the cache, because Redis reports changes under the whole names of keys',
};

/** An option by which ioredis reads from replicas. */
const onlyMaster = (name: string): ClientOptionRule => ({
  name,
  isWrong: (value) => value !== undefined && value !== 'master',
  allowed: '"master": a replica may answer with the old value after Redis has reported its change',
});

/** The ioredis options of one connection with which the cache would return wrong values without an error. */
const CONNECTION_RULES: readonly ClientOptionRule[] = [
  NO_KEY_PREFIX,
  {
    name: 'readOnly',
    isWrong: (value) => value === true,
    allowed: 'false: a replica may answer with the old value after Redis has reported its change',
  },
  onlyMaster('role'),
];

const CLUSTER_RULES: readonly ClientOptionRule[] = [NO_KEY_PREFIX, onlyMaster('scaleReads')];

const NODE_RULES: readonly ClientOptionRule[] = [
  ...CONNECTION_RULES,
  {
    name: 'db',
    isWrong: (value) => value !== undefined && Number(value) !== 0,
    allowed: '0: a cluster has one database',
  },
];

/** Checks the ioredis options for a server, or for Sentinels. */
export function checkConnectionOptions(problems: ProblemList, path: string, options: unknown): void {
  check(problems, path, options, CONNECTION_RULES);
}

export function checkClusterOptions(problems: ProblemList, path: string, options: unknown): void {
  check(problems, path, options, CLUSTER_RULES);
  if (isRecord(options)) {
    check(problems, `${path}redisOptions.`, options['redisOptions'], NODE_RULES);
  }
}

/**
 * Checks a client that is handed in. It is duplicated with this library's options. Only a key prefix is refused: it
 * can't be dropped silently, because the application expects its keys under it.
 */
export function checkClient(problems: ProblemList, name: string, client: object): void {
  const { options } = client as { options?: unknown };
  const nodeOptions = isRecord(options) && isRecord(options['redisOptions']) ? options['redisOptions'] : {};
  if (isRecord(options) && [options['keyPrefix'], nodeOptions['keyPrefix']].some(NO_KEY_PREFIX.isWrong)) {
    problems.add(
      name,
      'a client with keyPrefix',
      "a client without one, for instance client.duplicate({ keyPrefix: '' }): give the keyPrefix option of the cache",
    );
  }
}

function check(problems: ProblemList, path: string, options: unknown, rules: readonly ClientOptionRule[]): void {
  if (!isRecord(options)) {
    return;
  }
  for (const { name, isWrong, allowed } of rules) {
    const value = options[name];
    if (isWrong(value)) {
      problems.add(`${path}${name}`, show(value), allowed);
    }
  }
}
