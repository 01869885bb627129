import {
  BOOLEAN,
  functionOf,
  type OptionOf,
  integerBetween,
  oneOf,
  type OptionTable,
  type Rows,
  TEXT,
  typed,
} from './rules.js';

/*
 * The options of how values become bytes: rows as in schema.ts, and the types of what they hold.
 */

/** The longest value that Redis accepts. */
export const MAX_STRING_BYTES = 536_870_912;

/**
 * The codecs for compression. `zstd` needs a Node that has it (22.15, 23.8 or later), `lz4` the package lz4-napi,
 * `snappy` the package snappy.
 */
export type CompressionCodec = 'deflate' | 'gzip' | 'brotli' | 'zstd' | 'lz4' | 'snappy';

const CODECS: readonly CompressionCodec[] = ['deflate', 'gzip', 'brotli', 'zstd', 'lz4', 'snappy'];

export const COMPRESSION_OPTIONS = {
  /** Serialized size in bytes from which a value is compressed. Default 1024 (`CACHE_COMPRESSION_THRESHOLD`). */
  thresholdBytes: {
    rule: integerBetween(0, MAX_STRING_BYTES),
    default: 1024,
    variable: 'CACHE_COMPRESSION_THRESHOLD',
    meaning: 'serialized size in bytes from which a value is compressed',
  },
  /** The codec for writing. Default `deflate`. Entries written with any other codec stay readable. */
  codec: {
    rule: oneOf(CODECS, 'string'),
    default: 'deflate',
    meaning:
      '`deflate`, `gzip`, `brotli`, `zstd` (a Node that has it), `lz4` (package lz4-napi), `snappy` (package snappy)',
  },
  /**
   * `true`: values from 128 bytes to 32 KiB are compressed with a dictionary. The threshold and the codec do not apply to them. One
   * process makes it of pieces that values of the namespace have in common, after 200 of them, and stores it in Redis.
   * Not where values are encrypted and keys have `varyBy` or an audience. Default false.
   */
  dictionary: {
    rule: BOOLEAN,
    default: false,
    meaning:
      'true: values from 128 bytes to 32 KiB are compressed with a dictionary of what values of the namespace have in common',
  },
} as const satisfies OptionTable;

/**
 * How values are compressed before they are sent to Redis. L1 keeps values uncompressed.
 * @interface
 */
export type CompressionOptions = {
  -readonly [Name in keyof typeof COMPRESSION_OPTIONS]?: OptionOf<(typeof COMPRESSION_OPTIONS)[Name]>;
};

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

export const ENCRYPTION_OPTIONS = {
  keys: { type: 'object', meaning: '32 bytes each by id: a Buffer, or text in base64 or hexadecimal' },
  current: { rule: TEXT, meaning: 'id of the key for writing; the others are only for reading' },
} as const satisfies Rows<EncryptionOptions>;

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

export const CODEC_OPTIONS = {
  /**
   * The classes whose instances are restored as instances, by the name in the stored data: it must not change, so it is
   * not taken from the class. A subclass needs a name of its own. `{ Money }` is short for `{ Money: { class: Money }
   * }`, with the options of `@CachedClass` if the class has it.
   */
  classes: {
    ...typed<Readonly<Record<string, AnyClass | ClassRegistration>>>('object'),
    meaning: 'classes whose instances are restored as instances, by stored name',
  },
} as const satisfies OptionTable;

/**
 * How values are turned into bytes for Redis, and back.
 * @interface
 */
export type CodecOptions = { -readonly [Name in keyof typeof CODEC_OPTIONS]?: OptionOf<(typeof CODEC_OPTIONS)[Name]> };
