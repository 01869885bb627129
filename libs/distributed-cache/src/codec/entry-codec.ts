import { createHash } from 'node:crypto';
import { CorruptEntryError, ValueRefusedError } from '../errors/index.js';
import {
  type EncodedPayload,
  type EntryHeader,
  readEnvelope,
  StampReader,
  StampWriter,
  writeEnvelope,
} from './envelope.js';
import { type KeyRing, openPayload, payloadSealer } from './payload-cipher.js';
import {
  parsePlainText,
  type PlainFormat,
  readLegacyValue,
  unwrapPlainText,
  wrapPlainText,
  writePlainText,
} from './text-formats.js';
import { asDecoded, type Decoded, type Encoding, ValueCodec, type ValueCodecOptions } from './value-codec.js';

export interface EntryCodecOptions extends ValueCodecOptions {
  /** The format of the entries in Redis. Default `envelope`. */
  readonly format?: 'envelope' | PlainFormat;
  /** Whether values of other programs are read. Default false. */
  readonly legacy?: boolean;
  /** The keys for reading encrypted entries. */
  readonly encryptionKeys?: KeyRing | undefined;
  /** Whether entries are written encrypted, and unencrypted ones are rejected. Default false. */
  readonly encrypts?: boolean;
}

/** An entry in the form in which it is written. */
export interface SealedEntry {
  readonly bytes: Buffer;
  /** The value of the sidecar key: the metadata that plain text can't contain. */
  readonly sidecar?: Buffer;
}

/**
 * The result of reading a value that is not an envelope. `header` is present when the cache itself wrote the text: it
 * comes from the sidecar.
 */
interface PlainEntry {
  readonly value: unknown;
  readonly header: EntryHeader | undefined;
  /** The expiry in epoch milliseconds, by the clock of the program that wrote the value. */
  readonly expiresAtMs: number | undefined;
}

/**
 * Encodes and decodes the entries of one namespace: envelopes, encrypted or not, or text that other programs read.
 *
 * Text can't contain the stamps under which it was written, so a second key, its sidecar, holds an envelope with the
 * header and the SHA-256 of the text. A text whose sidecar is missing or belongs to another text counts as a value of
 * another program.
 */
export class EntryCodec {
  readonly #values: ValueCodec;
  readonly #options: EntryCodecOptions;
  readonly #format: 'envelope' | PlainFormat;
  readonly #stampReader = new StampReader();
  readonly #stampWriter = new StampWriter();

  constructor(options: EntryCodecOptions) {
    this.#values = new ValueCodec(options);
    this.#options = options;
    this.#format = options.format ?? 'envelope';
  }

  /** Whether entries are text for other programs: such an entry carries no tags, and is not kept past its TTL. */
  get isPlain(): boolean {
    return this.#format !== 'envelope';
  }

  /** Whether a value that is not an envelope may be an entry. */
  get readsPlain(): boolean {
    return this.#options.encrypts !== true && (this.#options.legacy === true || this.isPlain);
  }

  /** Encodes a value in the format of the namespace; the contract is that of {@link ValueCodec.encode}. */
  encode(value: unknown, textFrom?: number, flatten?: boolean): Encoding {
    return this.#format === 'envelope'
      ? this.#values.encode(value, textFrom, flatten)
      : this.#encodePlain(value, this.#format, flatten);
  }

  /** Parses the JSON text of a value; the contract is that of {@link ValueCodec.parse}. */
  parse(text: string): Decoded {
    return this.#values.parse(text);
  }

  #encodePlain(value: unknown, format: PlainFormat, flatten = this.#options.flatten): Encoding {
    const { text, exact } = writePlainText(value, format, flatten);
    const textBytes = Buffer.byteLength(text);
    const { maxValueBytes } = this.#options;
    if (textBytes > maxValueBytes) {
      throw new ValueRefusedError('too-large', `${textBytes} bytes, the most is ${maxValueBytes} (maxValueBytes)`);
    }
    const payload = { serializer: 'json', compressor: 'none', rawBytes: textBytes, bytes: text } as const;
    return { payload: () => payload, text, textBytes, exact, isTree: false, isAscii: false };
  }

  /** Decodes a payload of {@link encode} or {@link open}. @throws CorruptEntryError, and nothing else */
  decode(payload: EncodedPayload): Decoded | Promise<Decoded> {
    return this.#values.decode(payload);
  }

  /** Decodes an encoded value into the form that its readers get. */
  readBack(payload: EncodedPayload): Decoded | Promise<Decoded> {
    return this.#format === 'envelope'
      ? this.decode(payload)
      : asDecoded(parsePlainText(payload.bytes.toString(), this.#format));
  }

  /** Makes the bytes of an entry. @param valueKey the full name of the Redis key under which the entry will be stored */
  seal(header: EntryHeader, payload: EncodedPayload, valueKey: string): SealedEntry {
    const { encrypts, encryptionKeys } = this.#options;
    if (this.#format === 'envelope') {
      const sealer = encrypts === true && encryptionKeys ? payloadSealer(encryptionKeys, valueKey) : undefined;
      return { bytes: writeEnvelope(header, payload, sealer, this.#stampWriter) };
    }
    const bytes = Buffer.from(wrapPlainText(payload.bytes.toString(), this.#format, header.expiresAtMs));
    return { bytes, sidecar: sidecarOf(header, bytes, this.#format) };
  }

  /**
   * Reads the header and the payload of an envelope.
   * @throws CorruptEntryError for bytes that can't be read, and no other error for any bytes
   */
  open(bytes: Buffer, valueKey: string): { readonly header: EntryHeader; readonly payload: EncodedPayload } {
    const opened = readEnvelope(bytes, this.#stampReader);
    if (opened.isEncrypted) {
      const { header, payload, headBytes } = opened;
      const head = bytes.subarray(0, headBytes);
      const plain = openPayload(this.#options.encryptionKeys, valueKey, head, payload.bytes);
      return { header, payload: { ...payload, bytes: plain } };
    }
    if (this.#options.encrypts === true) {
      throw new CorruptEntryError('it is not encrypted, and only encrypted entries are accepted here');
    }
    return opened;
  }

  /**
   * Reads a value that is not an envelope.
   * @returns `undefined` for a text that represents no value
   * @throws CorruptEntryError for bytes that can't be read, and no other error for any bytes
   */
  readPlain(bytes: Buffer, sidecar: Buffer | null): PlainEntry | undefined {
    const { maxValueBytes, legacy } = this.#options;
    if (bytes.length > maxValueBytes * 2) {
      throw new CorruptEntryError(`it has ${bytes.length} bytes, the most is ${maxValueBytes} (maxValueBytes)`);
    }
    const written = sidecar === null ? undefined : headerOf(sidecar, bytes);
    if (written !== undefined) {
      const value = unwrapPlainText(bytes.toString(), written.format);
      return { value, header: written.header, expiresAtMs: undefined };
    }
    if (legacy !== true) {
      throw new CorruptEntryError('another program has written it');
    }
    const found = readLegacyValue(bytes, this.#format);
    return found.kind === 'absent'
      ? undefined
      : { value: found.value, header: undefined, expiresAtMs: found.kind === 'keyv' ? found.expiresAtMs : undefined };
  }
}

/** The index is the number in the stored bytes: append, never reorder. */
const PLAIN_FORMATS: readonly PlainFormat[] = ['json', 'keyv', 'cache-manager'];

function sidecarOf(header: EntryHeader, text: Buffer, format: PlainFormat): Buffer {
  const bytes = Buffer.concat([Buffer.of(PLAIN_FORMATS.indexOf(format)), digestOf(text)]);
  return writeEnvelope(header, { serializer: 'json', compressor: 'none', rawBytes: text.length, bytes });
}

/** The content of the sidecar, if it was written with this very text. */
function headerOf(sidecar: Buffer, text: Buffer): { header: EntryHeader; format: PlainFormat } | undefined {
  try {
    const { header, payload } = readEnvelope(sidecar);
    const format = PLAIN_FORMATS[payload.bytes[0] ?? -1];
    const isOfText = payload.rawBytes === text.length && payload.bytes.subarray(1).equals(digestOf(text));
    return format !== undefined && isOfText ? { header, format } : undefined;
  } catch {
    return undefined; // a damaged sidecar counts as missing
  }
}

function digestOf(text: Buffer): Buffer {
  return createHash('sha256').update(text).digest();
}
