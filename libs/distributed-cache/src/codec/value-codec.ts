import { isAscii } from 'node:buffer';
import { CorruptEntryError, ValueRefusedError } from '../errors/index.js';
import {
  BytesValue,
  ClassRegistry,
  copyAsPlain,
  inspectValue,
  isPlainJson,
  parseJsonText,
  toRefusedError,
} from '../values/index.js';
import { compress, type CompressedBytes, decompress } from './compressors.js';
import { decompressWith, type Dictionaries, DICTIONARY_BELOW_BYTES, DICTIONARY_FROM_BYTES } from './dictionary.js';
import type { CompressorId, EncodedPayload, SerializerId, TextSerializerId } from './envelope.js';
import { parseRichText, writeRichText } from './rich-text.js';

export interface ValueCodecOptions {
  /**
   * Largest serialized value before compression, in bytes, both ways: a larger one is neither written nor accepted when
   * it is read.
   */
  readonly maxValueBytes: number;
  /** Serialized size in bytes from which a value is compressed; false: never. Reading does not depend on it. */
  readonly compression:
    | false
    | {
        readonly thresholdBytes: number;
        readonly codec: CompressorId;
        /** Whether small values are compressed with a dictionary. Default false. */
        readonly dictionary?: boolean;
      };
  /** The dictionaries, for writing as far as `compression` says, and for reading. */
  readonly dictionaries?: Dictionaries | undefined;
  /** The classes whose instances are restored as instances. Default: those whose instances this codec encodes. */
  readonly classes?: ClassRegistry;
  /** Whether instances of unregistered classes are stored as plain objects. Default false. */
  readonly flatten?: boolean;
}

/** A value that has been written as text. It is compressed when the payload is asked for. */
export interface Encoding {
  /** Makes the payload; to be called once. A promise only for a large value, which is compressed off the event loop. */
  payload(): EncodedPayload | Promise<EncodedPayload>;
  /** When false, a decoded value differs from the given one: then a tier that others read must keep a decoded copy. */
  readonly exact: boolean;
  readonly text: string;
  /** The length of its text as UTF-8, in bytes. */
  readonly textBytes: number;
  /** Whether the value is nothing but plain objects and arrays, each met once, and primitives. */
  readonly isTree: boolean;
  /** Whether it is certain that every text in it is ASCII, see {@link Decoded.isAscii}. */
  readonly isAscii: boolean;
}

/**
 * A decoded value. It is wrapped in an object, because the value may itself look like a promise, and `await` would call
 * its `then`.
 */
export interface Decoded {
  readonly value: unknown;
  /** Whether the value is nothing but plain objects and arrays, each met once, and primitives. */
  readonly isTree: boolean;
  /** For such a tree: whether it is certain that every text in it is ASCII. */
  readonly isAscii: boolean;
  /** For such a tree: the JSON that it was made of, for {@link ValueCodec.parse}. */
  readonly text: string | undefined;
}

/**
 * Turns values into bytes and back. Both directions return at once for most values. They return a promise only when a
 * large value is compressed or decompressed off the event loop: `await` the result inside an `async` function, or test
 * for `instanceof Promise` when a microtask matters. An error is thrown, or rejects the promise.
 */
export class ValueCodec {
  readonly #maxValueBytes: number;
  readonly #compressFromBytes: number;
  readonly #compressor: CompressorId;
  readonly #dictionaries: Dictionaries | undefined;
  readonly #usesDictionary: boolean;
  readonly #classes: ClassRegistry;
  readonly #flatten: boolean;

  constructor(options: ValueCodecOptions) {
    const { maxValueBytes, compression, dictionaries, classes = new ClassRegistry(), flatten = false } = options;
    this.#dictionaries = dictionaries;
    this.#usesDictionary = compression !== false && compression.dictionary === true;
    this.#maxValueBytes = maxValueBytes;
    this.#classes = classes;
    this.#flatten = flatten;
    this.#compressor = compression === false ? 'none' : compression.codec;
    this.#compressFromBytes = compression === false ? Infinity : compression.thresholdBytes;
  }

  /**
   * Encodes a value. It reads the value before it returns: a later change of the value changes nothing that is stored.
   * Compression comes later, so a caller with many values compresses them one part after the other.
   * @param textFrom from this length of its JSON on, the text is kept instead of the value; default: it never is
   * @param flatten whether instances of unregistered classes become plain objects; default: the option of the codec
   * @throws ValueRefusedError, and nothing else: `unserializable`, `too-deep` (200) or `too-large` (`maxValueBytes`)
   */
  encode(value: unknown, textFrom?: number, flatten = this.#flatten): Encoding {
    if (value instanceof BytesValue) {
      return this.#encodeBytes(value);
    }
    const { text, serializer, exact } = serialize(value, this.#classes, { textFrom, flatten });
    const rawBytes = Buffer.byteLength(text);
    this.#checkSize(rawBytes);
    const isTree = exact && serializer === 'json';
    return {
      payload: () => this.#payloadOf(serializer, text, rawBytes),
      text,
      textBytes: rawBytes,
      exact,
      isTree,
      isAscii: isTree && isAsciiJson(text, rawBytes === text.length),
    };
  }

  /** Parses the JSON text of an {@link Encoding} into its value. */
  parse(text: string): Decoded {
    return this.#read('json', text, Buffer.byteLength(text) === text.length);
  }

  #encodeBytes(value: BytesValue): Encoding {
    this.#checkSize(value.body.length);
    const bytes = writeBytesPayload(value);
    const rawBytes = bytes.length;
    this.#checkSize(rawBytes);
    const payload = (): EncodedPayload | Promise<EncodedPayload> =>
      value.isCompressed
        ? { serializer: 'bytes', compressor: 'none', rawBytes, bytes }
        : this.#payloadOf('bytes', bytes, rawBytes);
    return { payload, text: '', textBytes: 0, exact: true, isTree: false, isAscii: false };
  }

  #checkSize(rawBytes: number): void {
    if (rawBytes > this.#maxValueBytes) {
      throw new ValueRefusedError('too-large', `${rawBytes} bytes, the most is ${this.#maxValueBytes} (maxValueBytes)`);
    }
  }

  #payloadOf(
    serializer: SerializerId,
    bytes: string | Buffer,
    rawBytes: number,
  ): EncodedPayload | Promise<EncodedPayload> {
    if (this.#usesDictionary && rawBytes >= DICTIONARY_FROM_BYTES && rawBytes < DICTIONARY_BELOW_BYTES) {
      const compressed = this.#dictionaries?.compress(asBuffer(bytes));
      if (compressed !== undefined) {
        return { serializer, rawBytes, ...compressed };
      }
    }
    return rawBytes === 0 || rawBytes < this.#compressFromBytes
      ? { serializer, compressor: 'none', rawBytes, bytes }
      : this.#compressed(serializer, asBuffer(bytes));
  }

  #compressed(serializer: SerializerId, raw: Buffer): EncodedPayload | Promise<EncodedPayload> {
    const compressed = compress(this.#compressor, raw);
    const payloadOf = (result: CompressedBytes): EncodedPayload => ({ serializer, rawBytes: raw.length, ...result });
    return compressed instanceof Promise ? compressed.then(payloadOf) : payloadOf(compressed);
  }

  /** Decodes a payload. @throws CorruptEntryError for a payload that can't be read, and no other error */
  decode({ serializer, compressor, rawBytes, bytes }: EncodedPayload): Decoded | Promise<Decoded> {
    if (rawBytes > this.#maxValueBytes) {
      throw new CorruptEntryError(`it declares ${rawBytes} bytes, the most is ${this.#maxValueBytes} (maxValueBytes)`);
    }
    if (typeof bytes === 'string') {
      return this.#read(requireText(serializer), bytes, rawBytes === bytes.length);
    }
    const raw =
      compressor === 'dictionary'
        ? decompressWith(this.#dictionaries, bytes, rawBytes)
        : decompress(compressor, bytes, rawBytes);
    return raw instanceof Promise
      ? raw.then((result) => this.#readBytes(serializer, result))
      : this.#readBytes(serializer, raw);
  }

  #readBytes(serializer: SerializerId, raw: Buffer): Decoded {
    return serializer === 'bytes'
      ? asDecoded(readBytesPayload(raw))
      : this.#read(serializer, raw.toString(), isAscii(raw));
  }

  #read(serializer: TextSerializerId, text: string, isAsciiText: boolean): Decoded {
    const isTree = serializer === 'json';
    const value = deserialize(serializer, text, this.#classes);
    return { value, isTree, isAscii: isTree && isAsciiJson(text, isAsciiText), text: isTree ? text : undefined };
  }
}

function asBuffer(bytes: string | Buffer): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
}

/** The serializer of a payload of text. @throws CorruptEntryError if it is that of bytes */
function requireText(serializer: SerializerId): TextSerializerId {
  if (serializer === 'bytes') {
    throw new CorruptEntryError('its bytes are text');
  }
  return serializer;
}

/** Wraps a value about which nothing else is known. */
export function asDecoded(value: unknown): Decoded {
  return { value, isTree: false, isAscii: false, text: undefined };
}

/**
 * Whether the value of a JSON text contains nothing but ASCII: no text in it is written with an escape either, as
 * `\u0401`.
 */
function isAsciiJson(json: string, isAsciiText: boolean): boolean {
  return isAsciiText && !json.includes('\\u');
}

export interface SerializedValue {
  readonly serializer: TextSerializerId;
  readonly text: string;
  /**
   * When false, the value that is read back differs from the given one, for example a plain object instead of an
   * instance.
   */
  readonly exact: boolean;
}

interface SerializeOptions {
  /**
   * From this length of the JSON on, only the text is kept, never the given value: then the text is exact, although the
   * value may have accessors. Default: never.
   */
  readonly textFrom?: number | undefined;
  /** Whether instances of unregistered classes become plain objects. Default false. */
  readonly flatten?: boolean;
}

/**
 * Writes a value as text: as JSON when JSON keeps all of it, else in the rich notation.
 * @throws ValueRefusedError, and nothing else, also when reading the value throws
 */
export function serialize(
  value: unknown,
  classes = new ClassRegistry(),
  { textFrom = Infinity, flatten = false }: SerializeOptions = {},
): SerializedValue {
  const plain = textFrom === Infinity ? undefined : writePlainJson(value);
  if (plain !== undefined && plain.length >= textFrom) {
    return { serializer: 'json', text: plain, exact: true };
  }
  const { isJson, isExact, isGraph } = inspectValue(value, { classes, flatten });
  try {
    if (isExact) {
      return writeText(value, isJson, true);
    }
    const copy = copyAsPlain(value, classes, { flatten, isGraph });
    return writeText(copy, inspectValue(copy, { purpose: 'read' }).isJson, false);
  } catch (error) {
    throw toRefusedError(error);
  }
}

/** The value as JSON; `undefined` when the full check is needed. */
function writePlainJson(value: unknown): string | undefined {
  try {
    return isPlainJson(value) ? JSON.stringify(value) : undefined;
  } catch {
    return undefined; // the full check will find the cause, and report its path
  }
}

/** Reads the text of a value. @throws CorruptEntryError for a text that can't be read, and no other error */
export function deserialize(serializer: TextSerializerId, text: string, classes = new ClassRegistry()): unknown {
  switch (serializer) {
    case 'json':
      return parseJsonText(text);
    case 'rich':
      return parseRichText(text, classes);
    case 'undefined':
      if (text !== '') {
        throw new CorruptEntryError('it has a payload and says that it has none');
      }
      return undefined;
  }
}

function writeText(value: unknown, isJson: boolean, exact: boolean): SerializedValue {
  if (value === undefined) {
    return { serializer: 'undefined', text: '', exact };
  }
  return isJson
    ? { serializer: 'json', text: JSON.stringify(value), exact }
    : { serializer: 'rich', text: writeRichText(value), exact };
}

/*
 * The payload of kind `bytes`:
 *
 *    0  length of the head  uint32, big-endian
 *    4  head                a JSON object, UTF-8
 *    …  body                to the end
 */
const LENGTH_BYTES = 4;

/**
 * Writes head and body into one new buffer.
 * @throws ValueRefusedError (`unserializable`) for a head that JSON does not keep
 */
function writeBytesPayload({ head, body }: BytesValue): Buffer {
  const { isJson, isExact } = inspectValue(head);
  if (!isJson || !isExact) {
    throw new ValueRefusedError('unserializable', 'the head of bytes that is not plain JSON');
  }
  const text = JSON.stringify(head);
  const bodyAt = LENGTH_BYTES + Buffer.byteLength(text);
  const payload = Buffer.allocUnsafe(bodyAt + body.length);
  payload.writeUInt32BE(bodyAt - LENGTH_BYTES, 0);
  payload.write(text, LENGTH_BYTES);
  payload.set(body, bodyAt);
  return payload;
}

/**
 * Reads a value; its body is a copy, so that L1 does not keep the buffer of the answer of Redis.
 * @throws CorruptEntryError for any bytes that {@link writeBytesPayload} does not write, and no other error
 */
function readBytesPayload(payload: Buffer): BytesValue {
  const bodyAt = payload.length < LENGTH_BYTES ? Infinity : LENGTH_BYTES + payload.readUInt32BE(0);
  if (bodyAt > payload.length) {
    throw new CorruptEntryError('the head of its bytes is cut off');
  }
  const head = parseJsonText(payload.toString('utf8', LENGTH_BYTES, bodyAt));
  if (typeof head !== 'object' || head === null || Array.isArray(head)) {
    throw new CorruptEntryError('the head of its bytes is not an object');
  }
  return new BytesValue(head as Record<string, unknown>, payload.subarray(bodyAt));
}
