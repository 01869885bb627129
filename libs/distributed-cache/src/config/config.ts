import { CODEC_OPTIONS, COMPRESSION_OPTIONS, ENCRYPTION_OPTIONS } from './codec-schema.js';
import {
  type EncryptionKeys,
  readClasses,
  readCompression,
  readEncryption,
  type ResolvedClass,
  type ResolvedCompression,
  type CompressionSettings,
} from './codec-settings.js';
import { DEFAULTS } from './derived.js';
import { ProblemList, show } from './problems.js';
import { EnvironmentReader, OptionReader, withDefaults } from './reader.js';
import { describeRedis } from './redis-address.js';
import type { ResolvedRedis } from './redis-schema.js';
import { originOfRedis, resolveRedis } from './redis.js';
import { COMPANION_OPTIONS, WARM_LOAD_OPTIONS, WARM_UP_OPTIONS } from './warm-schema.js';
import { BOOLEAN, isRecord, type Resolved, type Given, NAME } from './rules.js';
import {
  CACHE_OPTIONS,
  type DistributedCacheOptions,
  FALLBACK_OPTIONS,
  LOCAL_OPTIONS,
  NAMESPACE_OPTIONS,
  type NamespaceOptions,
  TTL_OPTIONS,
  type ValuesMode,
} from './schema.js';

const BYTES_PER_MIB = 1_048_576;

type Options = OptionReader<typeof CACHE_OPTIONS>;

/** {@link LocalOptions} after environment and defaults. */
export interface ResolvedLocal extends Omit<Resolved<typeof LOCAL_OPTIONS>, 'maxMemoryMb'> {
  readonly maxBytes: number;
}

/** The option `fallback` after environment and defaults. Its TTL is in milliseconds. */
export type ResolvedFallback = Resolved<typeof FALLBACK_OPTIONS>;

/** The option `warmUp` after defaults. Durations are in milliseconds. */
export interface ResolvedWarmUp extends Omit<Resolved<typeof WARM_UP_OPTIONS>, 'namespaces'> {
  readonly namespaces: readonly string[];
  readonly load: false | Resolved<typeof WARM_LOAD_OPTIONS>;
}

/** The whole configuration after environment and defaults. Durations are in milliseconds. */
export interface ResolvedOptions extends Resolved<typeof CACHE_OPTIONS> {
  readonly redis: ResolvedRedis;
  readonly local: false | ResolvedLocal;
  /** `false` also when there is no L1 to fall back to. */
  readonly fallback: false | ResolvedFallback;
  readonly compression: false | ResolvedCompression;
  readonly warmUp: false | ResolvedWarmUp;
  /** The registered classes by their stored names. */
  readonly classes: ReadonlyMap<string, ResolvedClass>;
  readonly encryptionKeys: EncryptionKeys | undefined;
}

/** The options with what is derived from them. */
interface Resolution {
  readonly options: ResolvedOptions;
  readonly namespaces: NamespaceDefaults;
  readonly redisOrigin: string | undefined;
}

/** A class whose instances have the fields of the argument, so that the fields of the schema need no second list. */
const FieldsOf = class {
  constructor(fields: object) {
    Object.assign(this, fields);
  }
} as new <Fields extends object>(fields: Fields) => Readonly<Fields>;

/**
 * The configuration, resolved once and checked: code has priority over environment, and environment over default;
 * `undefined` counts as not given. Immutable. It holds the Redis password, so `JSON.stringify` and `util.inspect` show
 * a summary without it.
 */
export class CacheConfig extends FieldsOf<ResolvedOptions> {
  readonly #namespaces: NamespaceDefaults;
  readonly #redisOrigin: string | undefined;

  private constructor({ options, namespaces, redisOrigin }: Resolution) {
    super(options);
    this.#namespaces = namespaces;
    this.#redisOrigin = redisOrigin;
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
    return new CacheConfig(resolveOptions(options, env));
  }

  /** The address of Redis, without user and password; `undefined` without Redis. */
  get redisAddress(): string | undefined {
    return describeRedis(this.redis);
  }

  /** The names in `namespaces`. */
  get namespaceNames(): readonly string[] {
    return [...this.#namespaces.configured.keys()];
  }

  /** The address of Redis and its origin: an option, a variable or the default; `undefined` without Redis. */
  get redisPlace(): string | undefined {
    const { redisAddress } = this;
    return redisAddress === undefined || this.#redisOrigin === undefined
      ? redisAddress
      : `${redisAddress} (${this.#redisOrigin})`;
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

  /** One line for the log: the tiers, and the origin of the address of Redis, without any secret. */
  describe(): string {
    if (!this.enabled) {
      return 'disabled: every method runs undecorated';
    }
    const local = this.local === false ? 'no L1' : `L1 ${formatMib(this.local.maxBytes)} MiB`;
    const redis = this.redisPlace === undefined ? 'no L2' : `L2 ${this.redisPlace}`;
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

/** Resolves and checks all options. @throws ConfigurationError with every mistake of both sources */
function resolveOptions(given: unknown, env: NodeJS.ProcessEnv): Resolution {
  const problems = new ProblemList();
  if (!isRecord(given)) {
    problems.add('options', show(given), 'an object');
  }
  const options: Options = new OptionReader(isRecord(given) ? given : {}, '', CACHE_OPTIONS, problems);
  const environment = new EnvironmentReader(env, problems);

  const local = resolveLocal(options, environment);
  const configured = readNamespaces(options);
  const encryption = options.levelOrFalse('encryption', ENCRYPTION_OPTIONS);
  const resolved: ResolvedOptions = {
    ...withDefaults(CACHE_OPTIONS, options.readAll(), environment),
    redis: resolveRedis(options, environment),
    local,
    fallback: resolveFallback(options, environment, local !== false),
    compression: resolveCompression(options, environment),
    warmUp: resolveWarmUp(options),
    classes: readClasses(options.level('codec', CODEC_OPTIONS)),
    encryptionKeys: encryption !== false && options.has('encryption') ? readEncryption(encryption) : undefined,
  };
  if (resolved.requireRedis !== false && options.value('redis') === false) {
    options.refuse('requireRedis', 'false while redis is false');
  }
  if (resolved.strict && options.value('redis') === false) {
    options.refuse('strict', 'false while redis is false: there is no replica');
  }
  const namespaces: NamespaceDefaults = {
    ttlMs: resolved.ttlMs,
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
  return { options: resolved, namespaces, redisOrigin: originOfRedis(options, environment) };
}

function resolveLocal(options: Options, environment: EnvironmentReader): false | ResolvedLocal {
  const local = options.levelOrFalse('local', LOCAL_OPTIONS);
  if (local === false) {
    return false;
  }
  const { maxMemoryMb, ...rest } = withDefaults(LOCAL_OPTIONS, local.readAll(), environment);
  return Object.freeze({ maxBytes: Math.round(maxMemoryMb * BYTES_PER_MIB), ...rest });
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
  const fallback = options.levelOrFalse('fallback', FALLBACK_OPTIONS);
  if (fallback === false) {
    return false;
  }
  const given = fallback.readAll();
  const row = CACHE_OPTIONS.fallback;
  const isEnabled = environment.read({ variable: row.variable, rule: BOOLEAN }) ?? row.default;
  return isEnabled && hasLocal ? Object.freeze(withDefaults(FALLBACK_OPTIONS, given, environment)) : false;
}

function resolveCompression(options: Options, environment: EnvironmentReader): false | ResolvedCompression {
  const compression = options.levelOrFalse('compression', COMPRESSION_OPTIONS);
  return compression === false
    ? false
    : Object.freeze(withDefaults(COMPRESSION_OPTIONS, readCompression(compression), environment));
}

function resolveWarmUp(options: Options): false | ResolvedWarmUp {
  const warmUp = options.levelOrFalse('warmUp', WARM_UP_OPTIONS);
  if (warmUp === false || !options.has('warmUp')) {
    return false;
  }
  const given = warmUp.readAll();
  if (!warmUp.has('namespaces')) {
    warmUp.refuse('namespaces', WARM_UP_OPTIONS.namespaces.rule.allowed);
  }
  const load = warmUp.has('load') && warmUp.levelOrFalse('load', WARM_LOAD_OPTIONS);
  return Object.freeze({
    ...withDefaults(WARM_UP_OPTIONS, given),
    namespaces: given.namespaces ?? [],
    load: load && Object.freeze(withDefaults(WARM_LOAD_OPTIONS, load.readAll())),
  });
}

function formatMib(bytes: number): string {
  return `${Number((bytes / BYTES_PER_MIB).toFixed(3))}`;
}

/*
 * The options of one namespace: read and checked, then combined with those of the whole cache.
 */

/** `NamespaceOptions` after defaults. */
export interface ResolvedNamespace extends Omit<Resolved<typeof NAMESPACE_OPTIONS>, 'ttlMs' | 'values' | 'legacy'> {
  readonly ttlMs: number;
  readonly values: ValuesMode;
  readonly legacy: boolean;
  readonly compression: false | ResolvedCompression;
  readonly companions: false | Resolved<typeof COMPANION_OPTIONS>;
  /** The keys for reading encrypted values. */
  readonly encryptionKeys: EncryptionKeys | undefined;
  /** Whether values are written encrypted, and unencrypted ones are rejected. */
  readonly encrypts: boolean;
}

/** The options of a namespace in code; an absent one comes from the whole cache. */
type NamespaceSettings = Given<typeof NAMESPACE_OPTIONS> & {
  readonly compression?: false | CompressionSettings | undefined;
  readonly companions?: false | Given<typeof COMPANION_OPTIONS> | undefined;
  readonly encryption?: false | EncryptionKeys | undefined;
};

/**
 * The input of {@link completeNamespace}. Values by namespace are in Maps, so that a namespace may be called
 * `constructor`.
 */
interface NamespaceDefaults {
  readonly ttlMs: number;
  readonly values: ValuesMode;
  /** `keywords`, `metrics`, `trends`. */
  readonly builtInTtlMs: ReadonlyMap<string, number>;
  readonly configured: ReadonlyMap<string, NamespaceSettings>;
  readonly compression: false | ResolvedCompression;
  readonly encryptionKeys: EncryptionKeys | undefined;
}

function readNamespaces(options: OptionReader<typeof CACHE_OPTIONS>): Map<string, NamespaceSettings> {
  const given = options.value('namespaces') ?? {};
  if (!isRecord(given)) {
    options.refuse('namespaces', 'an object: options by name of the namespace');
    return new Map();
  }
  const { problems } = options;
  return new Map(
    Object.entries(given).map(([name, settings]) => [name, readNamespace(name, settings, 'namespaces', problems)]),
  );
}

/**
 * Reads and checks the options of a namespace.
 * @param path the place of these options in messages, such as `namespaces`
 */
function readNamespace(name: string, given: unknown, path: string, problems: ProblemList): NamespaceSettings {
  if (NAME.accept(name) === undefined) {
    problems.add(path, show(name), `a name of ${NAME.allowed}`);
  }
  if (given !== undefined && !isRecord(given)) {
    problems.add(`${path}.${name}`, show(given), `an object with ${Object.keys(NAMESPACE_OPTIONS).join(', ')}`);
  }
  const reader = new OptionReader(isRecord(given) ? given : {}, `${path}.${name}.`, NAMESPACE_OPTIONS, problems);
  const settings = reader.readAll();
  const compression = reader.levelOrFalse('compression', COMPRESSION_OPTIONS);
  const companions = reader.value('companions') === true ? {} : reader.levelOrFalse('companions', COMPANION_OPTIONS);
  const encryption = reader.levelOrFalse('encryption', ENCRYPTION_OPTIONS);
  return {
    ...settings,
    ...(reader.has('compression') && { compression: compression && readCompression(compression) }),
    ...(reader.has('companions') && {
      companions: companions instanceof OptionReader ? companions.readAll() : companions,
    }),
    ...(reader.has('encryption') && { encryption: encryption && readEncryption(encryption) }),
  };
}

/** Checks combinations of options that are wrong although each single one is right. */
function checkNamespace(resolved: ResolvedNamespace, path: string, problems: ProblemList): void {
  const { format, encrypts, legacy, migrate, version } = resolved;
  if (migrate !== undefined && version === undefined) {
    problems.add(
      `${path}migrate`,
      show(migrate),
      'given together with version: without one no entry has another version',
    );
  }
  if (encrypts && format !== 'envelope') {
    problems.add(
      `${path}format`,
      show(format),
      '"envelope" where values are encrypted, or encryption: false beside it',
    );
  }
  if (encrypts && legacy) {
    problems.add(
      `${path}legacy`,
      'true',
      'false where values are encrypted: the writer of an unencrypted value is unknown',
    );
  }
}

/**
 * The TTLs of the built-in namespaces. `ttls` has priority over the environment, which is read only for a TTL that
 * neither `ttls` nor `namespaces` gives.
 */
function resolveBuiltInTtls(
  options: OptionReader<typeof CACHE_OPTIONS>,
  environment: EnvironmentReader,
  configured: ReadonlyMap<string, NamespaceSettings>,
): Map<string, number> {
  const ttls = options.level('ttls', TTL_OPTIONS).readAll();
  const given = {
    keywords: ttls.keywords ?? configured.get('keywords')?.ttlMs,
    metrics: ttls.metrics ?? configured.get('metrics')?.ttlMs,
    trends: ttls.trends ?? configured.get('trends')?.ttlMs,
  };
  return new Map(Object.entries(withDefaults(TTL_OPTIONS, given, environment)));
}

/**
 * Combines the options of a namespace with those of the whole cache.
 * @param own options given where the namespace is used; they have priority
 */
function completeNamespace(name: string, own: NamespaceSettings, defaults: NamespaceDefaults): ResolvedNamespace {
  const given = firstGiven(own, defaults.configured.get(name) ?? {});
  const ttlMs = given.ttlMs ?? defaults.builtInTtlMs.get(name) ?? defaults.ttlMs;
  const resolved = withDefaults(NAMESPACE_OPTIONS, given);
  const encryption = given.encryption ?? defaults.encryptionKeys;
  const encrypts = encryption !== undefined && encryption !== false;
  return Object.freeze({
    ...resolved,
    ttlMs,
    emptyTtlMs: given.emptyTtlMs ?? Math.min(resolved.emptyTtlMs, ttlMs),
    values: given.values ?? defaults.values,
    compression: completeCompression(given.compression, defaults),
    companions: given.companions ? Object.freeze(withDefaults(COMPANION_OPTIONS, given.companions)) : false,
    legacy: given.legacy ?? !encrypts,
    // When encryption has been switched off, the values that it left stay readable.
    encryptionKeys: encryption === false ? defaults.encryptionKeys : encryption,
    encrypts,
  });
}

/** The options that `first` gives, and those that only `second` gives. An `undefined` counts as not given. */
function firstGiven<Settings extends object>(first: Settings, second: Settings): Settings {
  return { ...second, ...Object.fromEntries(Object.entries(first).filter(([, value]) => value !== undefined)) };
}

function completeCompression(
  own: false | CompressionSettings | undefined,
  { compression }: NamespaceDefaults,
): false | ResolvedCompression {
  if (own === undefined || own === false) {
    return own ?? compression;
  }
  // A namespace may compress although the cache does not.
  return Object.freeze(withDefaults(COMPRESSION_OPTIONS, firstGiven<CompressionSettings>(own, compression || {})));
}
