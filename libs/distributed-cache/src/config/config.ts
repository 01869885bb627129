import type { EncryptionKeys } from './encryption-keys.js';
import { checkNamespace, completeNamespace, type NamespaceDefaults, readNamespace } from './namespaces.js';
import type {
  DistributedCacheOptions,
  NamespaceOptions,
  ResolvedCompression,
  ResolvedNamespace,
  ResolvedRedis,
} from './options.js';
import { ProblemList } from './problem-list.js';
import { resolveOptions, type ResolvedFallback, type ResolvedLocal, type ResolvedOptions } from './resolve.js';
import { describeRedis } from './resolved-redis.js';
import type { ResolvedClass } from './value-settings.js';

const BYTES_PER_MIB = 1_048_576;

/**
 * The configuration, resolved once and checked: code has priority over environment, and environment over default;
 * `undefined` counts as not given. Immutable. It holds the Redis password, so `JSON.stringify` and `util.inspect` show
 * a summary without it.
 */
export class CacheConfig implements ResolvedOptions {
  readonly enabled: boolean;
  readonly keyPrefix: string;
  /** TTL of namespaces without their own, in milliseconds. */
  readonly ttlMs: number;
  readonly redis: ResolvedRedis;
  readonly local: false | ResolvedLocal;
  /** `false` also when there is no L1 to fall back to. */
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
  /** The dimensions of the current request, for `varyBy`. */
  readonly context: DistributedCacheOptions['context'];
  readonly classes: ReadonlyMap<string, ResolvedClass>;
  readonly encryptionKeys: EncryptionKeys | undefined;
  readonly #namespaces: NamespaceDefaults;

  private constructor(options: ResolvedOptions, namespaces: NamespaceDefaults) {
    this.enabled = options.enabled;
    this.keyPrefix = options.keyPrefix;
    this.ttlMs = options.ttlMs;
    this.redis = options.redis;
    this.local = options.local;
    this.fallback = options.fallback;
    this.deadlineMs = options.deadlineMs;
    this.commandTimeoutMs = options.commandTimeoutMs;
    this.heartbeatMs = options.heartbeatMs;
    this.healthCheckIntervalMs = options.healthCheckIntervalMs;
    this.requireRedis = options.requireRedis;
    this.strict = options.strict;
    this.logLookups = options.logLookups;
    this.maxValueBytes = options.maxValueBytes;
    this.compression = options.compression;
    this.context = options.context;
    this.classes = options.classes;
    this.encryptionKeys = options.encryptionKeys;
    this.#namespaces = namespaces;
    Object.freeze(this);
  }

  /**
   * The configuration from environment variables alone; an empty or blank variable counts as not set.
   * @throws ConfigurationError with every wrong variable
   */
  static fromEnv(env: NodeJS.ProcessEnv = process.env): CacheConfig {
    return CacheConfig.resolve({}, env);
  }

  /**
   * Resolves and checks the configuration. Every option is checked, even if another makes it ineffective. An
   * environment variable is checked only when it applies: not beside an option with priority over it, `REDIS_HOST` and
   * its like not beside `REDIS_URL`, none of those beside `redis` in code.
   * @throws ConfigurationError with every mistake of both sources: name, value (secrets as `***`) and what is allowed
   */
  static resolve(options: DistributedCacheOptions = {}, env: NodeJS.ProcessEnv = process.env): CacheConfig {
    const resolved = resolveOptions(options, env);
    return new CacheConfig(resolved.options, resolved.namespaces);
  }

  /** The address of Redis, without user and password; `undefined` without Redis. */
  get redisAddress(): string | undefined {
    return describeRedis(this.redis);
  }

  /**
   * The options of a namespace; one that is not configured has those of the whole cache.
   * @param options given where the namespace is used; they have priority over `namespaces[name]`
   * @throws ConfigurationError for a name with anything but letters, digits, `_`, `.` and `-`, and for wrong options
   */
  namespace(name: string, options: NamespaceOptions = {}): ResolvedNamespace {
    const problems = new ProblemList();
    const own = readNamespace(name, options, 'namespace', problems);
    problems.throwIfAny();
    const resolved = completeNamespace(name, own, this.#namespaces);
    checkNamespace(resolved, `namespace.${name}.`, problems);
    problems.throwIfAny();
    return resolved;
  }

  /** One line for the log: the tiers, without any secret. */
  describe(): string {
    if (!this.enabled) {
      return 'disabled: every method runs undecorated';
    }
    const local = this.local === false ? 'no L1' : `L1 ${formatMib(this.local.maxBytes)} MiB`;
    const redis = this.redisAddress === undefined ? 'no L2' : `L2 ${this.redisAddress}`;
    const isAlone = this.redis.kind === 'none' || this.local === false;
    return `${local}, ${redis}${this.fallback === false && !isAlone ? ', no fallback' : ''}`;
  }

  /** The configuration for logs, without users, passwords and TLS keys. */
  toJSON(): Readonly<Record<string, unknown>> {
    return Object.fromEntries([
      ...Object.entries(this),
      ['redis', this.redisAddress ?? false],
      ['classes', [...this.classes.keys()]],
    ]);
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `CacheConfig { ${this.describe()} }`;
  }
}

function formatMib(bytes: number): string {
  return `${Number((bytes / BYTES_PER_MIB).toFixed(3))}`;
}
