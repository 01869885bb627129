import { createRequire } from 'node:module';
import * as zlib from 'node:zlib';
import { classOptionsOf } from './cached-class.decorator.js';
import { EncryptionKeys } from './encryption-keys.js';
import { LIMITS, NAME_PATTERN, NAME_RULE } from './limits.js';
import { isRecord, OptionReader } from './option-reader.js';
import type { DistributedCacheOptions } from './options.js';
import { type ProblemList, show } from './problem-list.js';
import { CLASS_OPTIONS } from './value-option-table.js';
import type {
  AnyClass,
  ClassRegistration,
  CodecOptions,
  CompressionCodec,
  CompressionOptions,
  EncryptionOptions,
} from './value-options.js';

export const COMPRESSION_CODECS: readonly CompressionCodec[] = ['deflate', 'gzip', 'brotli', 'zstd', 'lz4', 'snappy'];

/** The given part of {@link CompressionOptions}. */
export interface CompressionSettings {
  readonly thresholdBytes?: number | undefined;
  readonly codec?: CompressionCodec | undefined;
}

/** {@link ClassRegistration} after defaults, with its name. */
export type ResolvedClass = Readonly<ClassRegistration> & { readonly name: string; readonly version: number };

const KEY_BYTES = 32;
const KEY_RULE = 'an object: each key 32 bytes, as a Buffer or as text in base64 or hexadecimal';
const MAX_ID_LENGTH = 64;
const OPTIONAL_PACKAGES: Partial<Record<CompressionCodec, string>> = { lz4: 'lz4-napi', snappy: 'snappy' };

export function readCompression(options: OptionReader<CompressionOptions>): CompressionSettings {
  const codec = options.choice('codec', COMPRESSION_CODECS);
  const missing = codec === undefined ? undefined : missingFor(codec);
  if (missing !== undefined) {
    options.refuse('codec', `another one, or ${missing}`);
  }
  return { thresholdBytes: options.integer('thresholdBytes', LIMITS.compressionThresholdBytes), codec };
}

/**
 * The requirement of a codec that is missing here; `undefined` when there is none. A codec that can't work is reported
 * at the start, not at the first large value.
 */
function missingFor(codec: CompressionCodec): string | undefined {
  if (codec === 'zstd' && !('zstdCompress' in zlib)) {
    return `a Node with zstd (22.15, 23.8 or later; this is ${process.versions.node})`;
  }
  const name = OPTIONAL_PACKAGES[codec];
  if (name !== undefined) {
    try {
      createRequire(import.meta.url).resolve(name);
    } catch {
      return `the package ${name} installed`;
    }
  }
  return undefined;
}

/**
 * Reads the keys for encryption.
 * @returns `undefined` when the keys are wrong: they are then in the problem list; no message shows any of them
 */
export function readEncryption(options: OptionReader<EncryptionOptions>): EncryptionKeys | undefined {
  const given = options.value('keys');
  const current = options.text('current');
  if (!isRecord(given) || given instanceof Uint8Array || Object.keys(given).length === 0) {
    return options.refuse('keys', KEY_RULE, '***');
  }
  const keys = new Map<string, Uint8Array>();
  for (const [id, secret] of Object.entries(given)) {
    const bytes = keyBytes(secret);
    if (!NAME_PATTERN.test(id) || id.length > MAX_ID_LENGTH) {
      options.refuse('keys', `ids of ${NAME_RULE}, at most ${MAX_ID_LENGTH}`, show(id));
    } else if (bytes === undefined) {
      options.problems.add(
        `${options.path}keys.${id}`,
        '***',
        '32 bytes, as a Buffer or as text in base64 or hexadecimal',
      );
    } else {
      keys.set(id, bytes);
    }
  }
  if (current === undefined || !Object.hasOwn(given, current)) {
    return options.refuse('current', `the id of one of the keys: ${Object.keys(given).map(show).join(', ')}`);
  }
  return keys.has(current) ? new EncryptionKeys(keys, current) : undefined;
}

function keyBytes(secret: unknown): Uint8Array | undefined {
  if (secret instanceof Uint8Array) {
    return secret.byteLength === KEY_BYTES ? secret : undefined;
  }
  if (typeof secret !== 'string') {
    return undefined;
  }
  if (/^[0-9a-f]{64}$/iu.test(secret)) {
    return Buffer.from(secret, 'hex');
  }
  // 32 bytes are 43 characters of base64, or of its form for URLs, and one of padding.
  return /^[\w+/-]{43}=?$/u.test(secret) ? Buffer.from(secret, 'base64') : undefined;
}

export function readClasses(
  options: OptionReader<DistributedCacheOptions>,
  codecOptions: OptionReader<CodecOptions>,
): ReadonlyMap<string, ResolvedClass> {
  const { problems } = options;
  const given = codecOptions.value('classes') ?? {};
  if (!isRecord(given)) {
    codecOptions.refuse('classes', 'an object: classes by the name that is stored');
    return new Map();
  }
  const classes = new Map<string, ResolvedClass>();
  for (const [name, registration] of Object.entries(given)) {
    const resolved = readClass(name, registration, problems);
    const twin = [...classes.values()].find((other) => other.class === resolved?.class);
    if (twin !== undefined) {
      problems.add(
        `codec.classes.${name}`,
        'a class that has a name already',
        `one name a class; this one is ${twin.name}`,
      );
    } else if (resolved !== undefined) {
      classes.set(name, resolved);
    }
  }
  return classes;
}

function readClass(name: string, given: unknown, problems: ProblemList): ResolvedClass | undefined {
  const path = `codec.classes.${name}`;
  const registration = isClass(given) ? { class: given } : given;
  if (!isRecord(registration) || !isClass(registration['class'])) {
    problems.add(
      path,
      show(given),
      'a class, or an object with class and, if need be, version, serialize, deserialize, migrate',
    );
    return undefined;
  }
  const type = registration['class'];
  const reader = new OptionReader<ClassRegistration>(
    { ...classOptionsOf(type), ...registration },
    `${path}.`,
    Object.keys(CLASS_OPTIONS),
    problems,
  );
  for (const option of ['serialize', 'deserialize', 'migrate'] as const) {
    if (reader.has(option) && typeof reader.value(option) !== 'function') {
      reader.refuse(option, 'a function');
    }
  }
  const version = reader.integer('version', LIMITS.classVersion) ?? 1;
  return Object.freeze({ ...classOptionsOf(type), ...registration, name, version, class: type });
}

function isClass(value: unknown): value is AnyClass {
  return typeof value === 'function' && typeof value.prototype === 'object' && value.prototype !== null;
}
