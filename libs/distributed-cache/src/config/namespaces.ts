import { DEFAULTS } from './defaults.js';
import type { EnvironmentReader } from './environment-reader.js';
import { LIMITS, NAME_PATTERN, NAME_RULE } from './limits.js';
import type { EncryptionKeys } from './encryption-keys.js';
import { isRecord, levelOrFalse, OptionReader } from './option-reader.js';
import { NAMESPACE_OPTIONS, TTL_OPTIONS } from './option-table.js';
import { COMPRESSION_OPTIONS, ENCRYPTION_OPTIONS } from './value-option-table.js';
import type {
  DistributedCacheOptions,
  NamespaceOptions,
  ResolvedCompression,
  ResolvedNamespace,
  ValidateMode,
  ValuesMode,
} from './options.js';
import { type ProblemList, show } from './problem-list.js';
import { isStandardSchema, type StandardSchemaV1 } from './standard-schema.js';
import type { EntryFormat } from './value-options.js';
import { type CompressionSettings, readCompression, readEncryption } from './value-settings.js';

const VALIDATE_MODES: readonly ValidateMode[] = ['read', 'both'];
const MAX_VERSION_LENGTH = 100;

export const VALUES_MODES: readonly ValuesMode[] = ['frozen', 'cloned', 'shared'];

export const ENTRY_FORMATS: readonly EntryFormat[] = ['envelope', 'json', 'keyv', 'cache-manager'];

/** The options of a namespace in code; an absent one comes from the whole cache. */
export type NamespaceSettings = Partial<
  Omit<ResolvedNamespace, 'compression' | 'encryptionKeys' | 'encrypts'> & {
    readonly compression: false | CompressionSettings | undefined;
    readonly encryption: false | EncryptionKeys | undefined;
  }
>;

/**
 * The input of {@link completeNamespace}. Values by namespace are in Maps, so that a namespace may be called
 * `constructor`.
 */
export interface NamespaceDefaults {
  readonly ttlMs: number;
  readonly values: ValuesMode;
  /** `keywords`, `metrics`, `trends`. */
  readonly builtInTtlMs: ReadonlyMap<string, number>;
  readonly configured: ReadonlyMap<string, NamespaceSettings>;
  readonly compression: false | ResolvedCompression;
  readonly encryptionKeys: EncryptionKeys | undefined;
}

export function readNamespaces(options: OptionReader<DistributedCacheOptions>): Map<string, NamespaceSettings> {
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
export function readNamespace(name: string, given: unknown, path: string, problems: ProblemList): NamespaceSettings {
  if (!NAME_PATTERN.test(name)) {
    problems.add(path, show(name), `a name of ${NAME_RULE}`);
  }
  if (given !== undefined && !isRecord(given)) {
    problems.add(`${path}.${name}`, show(given), `an object with ${Object.keys(NAMESPACE_OPTIONS).join(', ')}`);
  }
  const reader = new OptionReader<NamespaceOptions>(
    isRecord(given) ? given : {},
    `${path}.${name}.`,
    Object.keys(NAMESPACE_OPTIONS),
    problems,
  );
  return {
    ttlMs: reader.durationMs('ttl', LIMITS.ttlMs),
    graceMs: reader.durationMs('grace', LIMITS.graceMs),
    emptyTtlMs: reader.durationMs('emptyTtl', LIMITS.ttlMs),
    values: reader.choice('values', VALUES_MODES),
    schema: readSchema(reader),
    validate: reader.choice('validate', VALIDATE_MODES),
    version: readVersion(reader),
    migrate: reader.function('migrate'),
    compression: readOwnCompression(reader),
    format: reader.choice('format', ENTRY_FORMATS),
    legacy: reader.boolean('legacy'),
    encryption: readOwnEncryption(reader),
  };
}

function readSchema(reader: OptionReader<NamespaceOptions>): StandardSchemaV1 | undefined {
  const schema = reader.value('schema');
  return schema === undefined || isStandardSchema(schema)
    ? schema
    : reader.refuse('schema', 'a Standard Schema: of zod, valibot, arktype or another that has `~standard`');
}

function readVersion(reader: OptionReader<NamespaceOptions>): string | number | undefined {
  const version = reader.value('version');
  if (version === undefined || (typeof version === 'number' && Number.isFinite(version))) {
    return version;
  }
  return typeof version === 'string' && version.length <= MAX_VERSION_LENGTH
    ? version
    : reader.refuse('version', `a number, or a string of at most ${MAX_VERSION_LENGTH} characters`);
}

function readOwnCompression(reader: OptionReader<NamespaceOptions>): false | CompressionSettings | undefined {
  const level = levelOrFalse(reader, 'compression', COMPRESSION_OPTIONS);
  return level === false ? false : reader.has('compression') ? readCompression(level) : undefined;
}

function readOwnEncryption(reader: OptionReader<NamespaceOptions>): false | EncryptionKeys | undefined {
  const level = levelOrFalse(reader, 'encryption', ENCRYPTION_OPTIONS);
  return level === false ? false : reader.has('encryption') ? readEncryption(level) : undefined;
}

/** Checks combinations of options that are wrong although each single one is right. */
export function checkNamespace(
  { format, encrypts, legacy }: ResolvedNamespace,
  path: string,
  problems: ProblemList,
): void {
  if (encrypts && format !== 'envelope') {
    problems.add(
      `${path}format`,
      show(format),
      '"envelope" where values are encrypted, or encryption: false beside it',
    );
  }
  if (encrypts && legacy) {
    problems.add(`${path}legacy`, 'true', 'false where values are encrypted: nobody knows who wrote a plain one');
  }
}

/**
 * The TTLs of the built-in namespaces. `ttls` has priority over the environment, which is read only for a TTL that
 * neither `ttls` nor `namespaces` gives.
 */
export function resolveBuiltInTtls(
  options: OptionReader<DistributedCacheOptions>,
  environment: EnvironmentReader,
  configured: ReadonlyMap<string, NamespaceSettings>,
): Map<string, number> {
  const ttls = options.level('ttls', TTL_OPTIONS);
  const { namespaceTtlMs } = DEFAULTS;
  const entries = [
    ['keywords', 'CACHE_TTL_KEYWORDS'],
    ['metrics', 'CACHE_TTL_METRICS'],
    ['trends', 'CACHE_TTL_TRENDS'],
  ] as const;
  return new Map(
    entries.map(([name, variable]) => [
      name,
      ttls.durationMs(name, LIMITS.ttlMs) ??
        configured.get(name)?.ttlMs ??
        environment.secondsAsMs(variable, LIMITS.ttlMs) ??
        namespaceTtlMs[name],
    ]),
  );
}

/**
 * Combines the options of a namespace with those of the whole cache.
 * @param own options given where the namespace is used; they have priority
 */
export function completeNamespace(
  name: string,
  own: NamespaceSettings,
  defaults: NamespaceDefaults,
): ResolvedNamespace {
  const configured = defaults.configured.get(name) ?? {};
  const ttlMs = own.ttlMs ?? configured.ttlMs ?? defaults.builtInTtlMs.get(name) ?? defaults.ttlMs;
  return Object.freeze({
    ttlMs,
    graceMs: own.graceMs ?? configured.graceMs ?? DEFAULTS.graceMs,
    emptyTtlMs: own.emptyTtlMs ?? configured.emptyTtlMs ?? Math.min(DEFAULTS.emptyTtlMs, ttlMs),
    values: own.values ?? configured.values ?? defaults.values,
    schema: own.schema ?? configured.schema,
    validate: own.validate ?? configured.validate ?? DEFAULTS.validate,
    version: own.version ?? configured.version,
    migrate: own.migrate ?? configured.migrate,
    ...completeValues(own, configured, defaults),
  });
}

function completeValues(own: NamespaceSettings, configured: NamespaceSettings, defaults: NamespaceDefaults) {
  const encryption = own.encryption ?? configured.encryption ?? defaults.encryptionKeys;
  const encrypts = encryption !== undefined && encryption !== false;
  return {
    compression: completeCompression(own.compression ?? configured.compression, defaults),
    format: own.format ?? configured.format ?? DEFAULTS.format,
    legacy: own.legacy ?? configured.legacy ?? !encrypts,
    // When encryption has been switched off, the values that it left stay readable.
    encryptionKeys: encryption === false ? defaults.encryptionKeys : encryption,
    encrypts,
  };
}

/** The defaults of a namespace that compresses although the cache does not. */
const COMPRESSION_DEFAULTS: ResolvedCompression = {
  thresholdBytes: DEFAULTS.compressionThresholdBytes,
  codec: DEFAULTS.compressionCodec,
};

function completeCompression(
  own: false | CompressionSettings | undefined,
  { compression }: NamespaceDefaults,
): false | ResolvedCompression {
  if (own === undefined || own === false) {
    return own ?? compression;
  }
  const { thresholdBytes, codec } = compression === false ? COMPRESSION_DEFAULTS : compression;
  return Object.freeze({ thresholdBytes: own.thresholdBytes ?? thresholdBytes, codec: own.codec ?? codec });
}
