import { CorruptEntryError, ValueRefusedError } from '../errors/index.js';
import { type ClassRegistry, NO_CLASSES } from './class-registry.js';
import { type CompressedBytes, compress, decompress } from './compressor.js';
import type { CompressorId, EncodedPayload, SerializerId } from './payload.js';
import { type SerializedValue, deserialize, serialize } from './serializer.js';

export interface ValueCodecOptions {
  /** Largest serialized value before compression, in bytes, both ways: larger ones are not written and not believed. */
  readonly maxValueBytes: number;
  /** Serialized size in bytes from which a value is compressed; false: never. Reading does not depend on it. */
  readonly compression: false | { readonly thresholdBytes: number; readonly codec: CompressorId };
  /** Default: none. */
  readonly classes?: ClassRegistry;
}

export interface EncodedValue {
  readonly payload: EncodedPayload;
  /** false: what a decode returns differs from what was given, so keep a decoded copy where others read it. */
  readonly exact: boolean;
  /** The names of the classes whose instances are kept as plain objects, because nobody has registered them. */
  readonly flattened: readonly string[];
}

/** In a box, because the value may itself look like a promise, and `await` would call its `then`. */
export interface Decoded {
  readonly value: unknown;
  /** Whether it is nothing but plain objects and arrays, each met once, and primitives. */
  readonly isTree: boolean;
}

/**
 * Turns values into bytes and back. Both directions answer at once for most values, and with a promise only
 * where a large value is (de)compressed off the event loop: `await` what you get inside an `async` function, or
 * test for `instanceof Promise` where a microtask matters. Errors come the same two ways.
 */
export class ValueCodec {
  readonly #maxValueBytes: number;
  readonly #compressFromBytes: number;
  readonly #compressor: CompressorId;
  readonly #classes: ClassRegistry;

  constructor({ maxValueBytes, compression, classes = NO_CLASSES }: ValueCodecOptions) {
    this.#maxValueBytes = maxValueBytes;
    this.#classes = classes;
    this.#compressor = compression === false ? 'none' : compression.codec;
    this.#compressFromBytes = compression === false ? Infinity : compression.thresholdBytes;
  }

  /**
   * Reads the value now, before it returns: changing it afterwards changes nothing that is stored.
   * @throws ValueRefusedError, and nothing else: `unserializable`, `too-deep` (200) or `too-large` (`maxValueBytes`)
   */
  encode(value: unknown): EncodedValue | Promise<EncodedValue> {
    const serialized = serialize(value, this.#classes);
    const raw = Buffer.from(serialized.text);
    if (raw.length > this.#maxValueBytes) {
      throw new ValueRefusedError(
        'too-large',
        `${raw.length} bytes, the most is ${this.#maxValueBytes} (maxValueBytes)`,
      );
    }
    if (raw.length === 0 || raw.length < this.#compressFromBytes) {
      return encoded(serialized, raw.length, { compressor: 'none', bytes: raw });
    }
    const compressed = compress(this.#compressor, raw);
    return compressed instanceof Promise
      ? compressed.then((result) => encoded(serialized, raw.length, result))
      : encoded(serialized, raw.length, compressed);
  }

  /** @throws CorruptEntryError, and nothing else, whatever the payload is */
  decode({ serializer, compressor, rawBytes, bytes }: EncodedPayload): Decoded | Promise<Decoded> {
    if (rawBytes > this.#maxValueBytes) {
      throw new CorruptEntryError(`it declares ${rawBytes} bytes, the most is ${this.#maxValueBytes} (maxValueBytes)`);
    }
    const raw = decompress(compressor, bytes, rawBytes);
    return raw instanceof Promise ? raw.then((result) => this.#read(serializer, result)) : this.#read(serializer, raw);
  }

  #read(serializer: SerializerId, raw: Buffer): Decoded {
    return { value: deserialize(serializer, raw.toString(), this.#classes), isTree: serializer === 'json' };
  }
}

function encoded(serialized: SerializedValue, rawBytes: number, { compressor, bytes }: CompressedBytes): EncodedValue {
  const { serializer, exact, flattened } = serialized;
  return { payload: { serializer, rawBytes, compressor, bytes }, exact, flattened };
}
