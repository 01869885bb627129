/** How values are compressed. `zstd` needs a Node that has it (22.15, 23.8 or later), `lz4` the package lz4-napi, `snappy` the package snappy. */
export type CompressionCodec = 'deflate' | 'gzip' | 'brotli' | 'zstd' | 'lz4' | 'snappy';

export interface CompressionOptions {
  /** Serialized size in bytes from which a value is compressed. Default 2048 (`CACHE_COMPRESSION_THRESHOLD`). */
  thresholdBytes?: number;
  /** Default `deflate`. Whatever it is, entries written with any other codec stay readable. */
  codec?: CompressionCodec;
}

/**
 * How values lie in Redis. `envelope`: ours, with everything that the cache promises. `json`: plain JSON text, which any
 * program reads, also cache-manager-ioredis-yet used alone. `keyv`: `{"value":…,"expires":…}`, which Keyv reads.
 * `cache-manager`: the same as a string in JSON, which cache-manager 7 reads through cache-manager-ioredis-yet. In all but
 * the first only what JSON has is kept, values carry no tags, and nothing is kept past its TTL.
 */
export type EntryFormat = 'envelope' | 'json' | 'keyv' | 'cache-manager';

/** AES-256-GCM over every value and, with it, over its times, its stamps and its key. */
export interface EncryptionOptions {
  /**
   * The keys by their ids (letters, digits, `_`, `.` and `-`, at most 64): 32 random bytes each, as a `Buffer` or
   * `Uint8Array`, or as text in base64 or hexadecimal. Entries name the id of their key; one whose key is not here is a miss.
   */
  keys: Readonly<Record<string, Uint8Array | string>>;
  /** The id of the key that is written with; the others only read. */
  current: string;
}

/** A class, whatever its constructor takes. */
export type AnyClass = Function & { readonly prototype: object };

/** How the instances of one class are kept. */
export interface ClassOptions {
  /** Version of what is stored, an integer from 1. Raise it when the shape changes. Default 1. */
  version?: number;
  /** What is stored of an instance; any value that the cache can keep. Default: its own enumerable properties. */
  serialize?(instance: object): unknown;
  /** Makes the instance again. Default: an object of the class's prototype with these properties; no constructor runs. */
  deserialize?(data: unknown): object;
  /**
   * Turns what an older version stored into what `deserialize` takes. Without it an entry of another version is a miss, as is one
   * of a newer version always.
   */
  migrate?(data: unknown, fromVersion: number): unknown;
}

export interface ClassRegistration extends ClassOptions {
  class: AnyClass;
}

export interface CodecOptions {
  /**
   * Classes whose instances come back as instances, by the name that is stored: it must not change, so it is not taken from the
   * class. A subclass needs a name of its own. `{ Money }` is short for `{ Money: { class: Money } }`, with the options of
   * `@CachedClass` if the class has it.
   */
  classes?: Readonly<Record<string, AnyClass | ClassRegistration>>;
}
