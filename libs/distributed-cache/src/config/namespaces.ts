import {
  type CompressionSettings,
  type EncryptionKeys,
  readCompression,
  readEncryption,
  type ResolvedCompression,
} from './codec-settings.js';
import type { ValuesMode } from './options.js';
import { type ProblemList, show } from './problems.js';
import { type EnvironmentReader, OptionReader, withDefaults } from './reader.js';
import { type Given, isRecord, NAME, type Resolved } from './rules.js';
import {
  type CACHE_OPTIONS,
  COMPRESSION_OPTIONS,
  ENCRYPTION_OPTIONS,
  NAMESPACE_OPTIONS,
  TTL_OPTIONS,
} from './schema.js';

/** `NamespaceOptions` after defaults. */
export interface ResolvedNamespace extends Omit<Resolved<typeof NAMESPACE_OPTIONS>, 'ttlMs' | 'values' | 'legacy'> {
  readonly ttlMs: number;
  readonly values: ValuesMode;
  readonly legacy: boolean;
  readonly compression: false | ResolvedCompression;
  /** The keys for reading encrypted values. */
  readonly encryptionKeys: EncryptionKeys | undefined;
  /** Whether values are written encrypted, and unencrypted ones are rejected. */
  readonly encrypts: boolean;
}

/** The options of a namespace in code; an absent one comes from the whole cache. */
type NamespaceSettings = Given<typeof NAMESPACE_OPTIONS> & {
  readonly compression?: false | CompressionSettings | undefined;
  readonly encryption?: false | EncryptionKeys | undefined;
};

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

export function readNamespaces(options: OptionReader<typeof CACHE_OPTIONS>): Map<string, NamespaceSettings> {
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
  if (NAME.accept(name) === undefined) {
    problems.add(path, show(name), `a name of ${NAME.allowed}`);
  }
  if (given !== undefined && !isRecord(given)) {
    problems.add(`${path}.${name}`, show(given), `an object with ${Object.keys(NAMESPACE_OPTIONS).join(', ')}`);
  }
  const reader = new OptionReader(isRecord(given) ? given : {}, `${path}.${name}.`, NAMESPACE_OPTIONS, problems);
  const settings = reader.readAll();
  const compression = reader.levelOrFalse('compression', COMPRESSION_OPTIONS);
  const encryption = reader.levelOrFalse('encryption', ENCRYPTION_OPTIONS);
  return {
    ...settings,
    ...(reader.has('compression') && { compression: compression && readCompression(compression) }),
    ...(reader.has('encryption') && { encryption: encryption && readEncryption(encryption) }),
  };
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
export function resolveBuiltInTtls(
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
export function completeNamespace(
  name: string,
  own: NamespaceSettings,
  defaults: NamespaceDefaults,
): ResolvedNamespace {
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
    legacy: given.legacy ?? !encrypts,
    // When encryption has been switched off, the values that it left stay readable.
    encryptionKeys: encryption === false ? defaults.encryptionKeys : encryption,
    encrypts,
  });
}

/** The options that `first` gives, and those that only `second` gives. An `undefined` counts as not given. */
function firstGiven(first: NamespaceSettings, second: NamespaceSettings): NamespaceSettings {
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
  const { thresholdBytes, codec } = compression === false ? withDefaults(COMPRESSION_OPTIONS, {}) : compression;
  return Object.freeze({ thresholdBytes: own.thresholdBytes ?? thresholdBytes, codec: own.codec ?? codec });
}
