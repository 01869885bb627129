/**
 * The codecs for compression. `zstd` needs a Node that has it (22.15, 23.8 or later), `lz4` the package lz4-napi,
 * `snappy` the package snappy.
 */
export type CompressionCodec = 'deflate' | 'gzip' | 'brotli' | 'zstd' | 'lz4' | 'snappy';

export interface CompressionOptions {
  /** Serialized size in bytes from which a value is compressed. Default 2048 (`CACHE_COMPRESSION_THRESHOLD`). */
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

export interface ClassRegistration extends ClassOptions {
  class: AnyClass;
}

export interface CodecOptions {
  /**
   * The classes whose instances are restored as instances, by the name in the stored data: it must not change, so it is
   * not taken from the class. A subclass needs a name of its own. `{ Money }` is short for `{ Money: { class: Money }
   * }`, with the options of `@CachedClass` if the class has it.
   */
  classes?: Readonly<Record<string, AnyClass | ClassRegistration>>;
}
