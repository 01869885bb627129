import { createSecretKey, type KeyObject } from 'node:crypto';
import { compressorOf } from '../codec/index.js';
import {
  type AnyClass,
  type CachedClassOptions,
  CLASS_OPTIONS,
  type ClassOptions,
  type ClassRegistration,
  type CODEC_OPTIONS,
  type COMPRESSION_OPTIONS,
  type CompressionCodec,
  type ENCRYPTION_OPTIONS,
} from './codec-schema.js';
import { ProblemList, show } from './problems.js';
import { OptionReader } from './reader.js';
import { type Given, isRecord, NAME, type Resolved } from './rules.js';

/** The compression as code gives it. */
export type CompressionSettings = Given<typeof COMPRESSION_OPTIONS>;

/** {@link CompressionOptions} after environment and defaults. */
export type ResolvedCompression = Resolved<typeof COMPRESSION_OPTIONS>;

/** {@link ClassRegistration} after defaults, with its name. */
export type ResolvedClass = Readonly<ClassRegistration> & { readonly name: string; readonly version: number };

const KEY_BYTES = 32;
const KEY_RULE = 'an object: each key 32 bytes, as a Buffer or as text in base64 or hexadecimal';
const MAX_ID_LENGTH = 64;
const OPTIONAL_PACKAGES: Partial<Record<CompressionCodec, string>> = { lz4: 'lz4-napi', snappy: 'snappy' };

export function readCompression(options: OptionReader<typeof COMPRESSION_OPTIONS>): CompressionSettings {
  const given = options.readAll();
  const missing = given.codec === undefined ? undefined : missingFor(given.codec);
  if (missing !== undefined) {
    options.refuse('codec', `another one, or ${missing}`);
  }
  return given;
}

/**
 * The requirement of a codec that is missing here; `undefined` when there is none. A codec that can't work is reported
 * at the start, not at the first large value.
 */
function missingFor(codec: CompressionCodec): string | undefined {
  if (compressorOf(codec) !== undefined) {
    return undefined;
  }
  const name = OPTIONAL_PACKAGES[codec];
  return name === undefined
    ? `a Node with zstd (22.15, 23.8 or later; this is ${process.versions.node})`
    : `the package ${name} installed`;
}

/**
 * Reads the keys for encryption.
 * @returns `undefined` when the keys are wrong: they are then in the problem list; no message shows any of them
 */
export function readEncryption(options: OptionReader<typeof ENCRYPTION_OPTIONS>): EncryptionKeys | undefined {
  const given = options.value('keys');
  const current = options.read('current');
  if (!isRecord(given) || given instanceof Uint8Array || Object.keys(given).length === 0) {
    return options.refuse('keys', KEY_RULE, '***');
  }
  const keys = new Map<string, Uint8Array>();
  for (const [id, secret] of Object.entries(given)) {
    const bytes = keyBytes(secret);
    if (NAME.accept(id) === undefined || id.length > MAX_ID_LENGTH) {
      options.refuse('keys', `ids of ${NAME.allowed}, at most ${MAX_ID_LENGTH}`, show(id));
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

/**
 * The keys of an `encryption` option. They are kept in private fields and as `KeyObject`s, so that neither `inspect`
 * nor `JSON.stringify` nor a log line shows them: only their ids.
 */
export class EncryptionKeys {
  readonly #keys: ReadonlyMap<string, KeyObject>;

  /** @param keys 32 bytes each, by id; `currentId` is one of the ids */
  constructor(
    keys: ReadonlyMap<string, Uint8Array>,
    /** The id of the key for writing. */
    readonly currentId: string,
  ) {
    this.#keys = new Map([...keys].map(([id, bytes]) => [id, createSecretKey(bytes)]));
  }

  /** The key with this id, or `undefined`. */
  key(id: string): KeyObject | undefined {
    return this.#keys.get(id);
  }

  /** Whether both have the same keys under the same ids, and write with the same one. */
  equals(other: EncryptionKeys): boolean {
    const ids = [...this.#keys.keys()];
    return (
      this.currentId === other.currentId &&
      this.#keys.size === other.#keys.size &&
      ids.every((id) => {
        const [mine, theirs] = [this.key(id), other.key(id)];
        return mine !== undefined && theirs !== undefined && mine.equals(theirs);
      })
    );
  }

  /** The ids, never a key: for logs and inspection. */
  toJSON(): Readonly<Record<string, unknown>> {
    return { ids: [...this.#keys.keys()], current: this.currentId };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `EncryptionKeys { ${[...this.#keys.keys()].join(', ')}; current: ${this.currentId} }`;
  }
}

export function readClasses(codecOptions: OptionReader<typeof CODEC_OPTIONS>): ReadonlyMap<string, ResolvedClass> {
  const { problems } = codecOptions;
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
  const reader = new OptionReader({ ...declaredOptionsOf(type), ...registration }, `${path}.`, CLASS_OPTIONS, problems);
  const { version = CLASS_OPTIONS.version.default } = reader.readAll();
  return Object.freeze({ ...declaredOptionsOf(type), ...registration, name, version, class: type });
}

function isClass(value: unknown): value is AnyClass {
  return typeof value === 'function' && typeof value.prototype === 'object' && value.prototype !== null;
}

/** A class that has declared by `@CachedClass` how its instances are stored. */
interface DeclaredClass extends Readonly<ClassOptions> {
  readonly name: string;
  readonly version: number;
  readonly class: AnyClass;
}

/** Made by `Symbol.for`, so that a second copy of this package reads the same properties. */
const DECLARATION = Symbol.for('nestjs-distributed-cache:declared-class');
const ALL_DECLARED = Symbol.for('nestjs-distributed-cache:declared-classes');

/**
 * Declares that instances of the class are cached as instances, in every cache of this process, and how. It works
 * without the module: the class is known as soon as its file has been loaded, so an entry that another process has
 * stored can be read before this process has stored one. Subclasses don't inherit the declaration.
 * @param options `name` is the name in the stored data (default: the name of the class); with `serialize` and
 * `deserialize` a class may have private state
 * @throws ConfigurationError for wrong options, and for a class without a name
 */
export function CachedClass(options: CachedClassOptions = {}): (type: AnyClass) => void {
  if (typeof options === 'function') {
    throw new TypeError(`@CachedClass of ${(options as AnyClass).name} needs parentheses: write @CachedClass()`);
  }
  return (type) => declareClass(type, options, '@CachedClass.');
}

/** A class whose instances are cached, with the options of `@CachedClass` or without. */
export type ClassToDeclare = AnyClass | (CachedClassOptions & { class: AnyClass });

/**
 * Declares classes as `@CachedClass` does. A class without options keeps the declaration that it has.
 * @param path the place of the list, for errors
 * @throws ConfigurationError as {@link CachedClass}, and for a class that is declared already under another name or in
 * another version
 */
export function declareClasses(classes: readonly ClassToDeclare[], path: string): void {
  for (const [index, given] of classes.entries()) {
    const { class: type, ...options } = typeof given === 'function' ? { class: given } : given;
    const place = `${path}[${index}]`;
    const problems = new ProblemList();
    if (typeof type !== 'function') {
      problems.add(place, show(type), 'a class, or { class, name, version, serialize, deserialize, migrate }');
      problems.throwIfAny();
    }
    const declared = declarationOf(type);
    const { name = type.name, version = CLASS_OPTIONS.version.default } = options;
    if (declared === undefined) {
      declareClass(type, options, `${place}.`);
    } else if (typeof given !== 'function' && (declared.name !== name || declared.version !== version)) {
      problems.add(
        place,
        `${name}, version ${version}`,
        `${declared.name}, version ${declared.version}: it is declared`,
      );
      problems.throwIfAny();
    }
  }
}

function declareClass(type: AnyClass, { name = type.name, ...given }: CachedClassOptions, path: string): void {
  const problems = new ProblemList();
  const { class: _class, ...rows } = CLASS_OPTIONS;
  const { version = CLASS_OPTIONS.version.default } = new OptionReader({ ...given }, path, rows, problems).readAll();
  if (typeof name !== 'string' || name === '') {
    problems.add(`${path}name`, show(name), 'a text; a class without a name needs one');
  }
  problems.throwIfAny();
  const declaration: DeclaredClass = Object.freeze({ ...given, name, version, class: type });
  Object.defineProperty(type, DECLARATION, { value: declaration, configurable: true });
  allDeclared().add(type);
}

function declaredOptionsOf(type: AnyClass): ClassOptions {
  const { name: _name, class: _class, ...options } = declarationOf(type) ?? {};
  return options;
}

/** The classes that are declared in this process. */
export const DECLARED_CLASSES = {
  of: declarationOf,
  named: (name: string): readonly DeclaredClass[] =>
    [...allDeclared()].flatMap((type) => declarationOf(type) ?? []).filter((declared) => declared.name === name),
};

function declarationOf(type: object): DeclaredClass | undefined {
  return Object.hasOwn(type, DECLARATION) ? (Reflect.get(type, DECLARATION) as DeclaredClass) : undefined;
}

/**
 * All declared classes of the process. It is the one list that all caches share: the stored name of a class has to be
 * found before any instance of it was met. It says nothing about what a cache does with a class; two classes of one name
 * may be in it, and a cache restores only the one that it has stored.
 */
function allDeclared(): Set<AnyClass> {
  const holder = globalThis as { [ALL_DECLARED]?: Set<AnyClass> };
  return (holder[ALL_DECLARED] ??= new Set());
}
