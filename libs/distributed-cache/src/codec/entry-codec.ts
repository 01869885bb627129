import { createHash } from 'node:crypto';
import { CorruptEntryError, ValueRefusedError } from '../errors/index.js';
import { type EntryHeader, readEnvelope, writeEnvelope } from './envelope.js';
import { readForeign } from './foreign-text.js';
import type { EncodedPayload } from './payload.js';
import { type KeyRing, openPayload, payloadSealer } from './payload-cipher.js';
import { parsePlainText, type PlainFormat, unwrapPlainText, wrapPlainText, writePlainText } from './plain-text.js';
import { StampReader, StampWriter } from './stamps.js';
import {
  asDecoded,
  type BegunEncoding,
  type Decoded,
  type EncodedValue,
  ValueCodec,
  type ValueCodecOptions,
} from './value-codec.js';

export interface EntryCodecOptions extends ValueCodecOptions {
  /** Default `envelope`. */
  readonly format?: 'envelope' | PlainFormat;
  /** Whether values of other programs are read. Default false. */
  readonly legacy?: boolean;
  /** Reads what was encrypted. */
  readonly encryptionKeys?: KeyRing | undefined;
  /** Whether entries are written encrypted, and no others believed. Default false. */
  readonly encrypts?: boolean;
}

/** An entry as it is written. */
export interface SealedEntry {
  readonly bytes: Buffer;
  /** For the key beside it: what plain text can't say of itself. */
  readonly companion?: Buffer;
}

/** What a value that is no envelope turned out to be. `header`: it is ours, and its companion says this of it. */
export interface PlainEntry {
  readonly value: unknown;
  readonly header: EntryHeader | undefined;
  /** In epoch milliseconds of whoever wrote it. */
  readonly expiresAtMs: number | undefined;
}

/**
 * How one namespace's entries lie in Redis: as envelopes, encrypted or not, or as text that other programs read.
 *
 * Text says nothing of the stamps that it was written under, so a second key, its companion, holds an envelope with the header and
 * the SHA-256 of the text. A text whose companion is missing or belongs to another text is a stranger's.
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

  /** Text for other programs: it carries no tags, and nothing is kept past its TTL. */
  get isPlain(): boolean {
    return this.#format !== 'envelope';
  }

  /** Whether a value that is no envelope may be an entry. */
  get readsPlain(): boolean {
    return this.#options.encrypts !== true && (this.#options.legacy === true || this.isPlain);
  }

  /** As {@link ValueCodec.encode}. */
  encode(value: unknown): EncodedValue | Promise<EncodedValue> {
    return this.#format === 'envelope' ? this.#values.encode(value) : this.#encodePlain(value, this.#format);
  }

  /** As {@link ValueCodec.beginEncoding}. */
  beginEncoding(value: unknown, textFrom?: number): BegunEncoding {
    return this.#format === 'envelope'
      ? this.#values.beginEncoding(value, textFrom)
      : { ...this.#encodePlain(value, this.#format), isTree: false, isAscii: false };
  }

  /** As {@link ValueCodec.parse}. */
  parse(text: string): Decoded {
    return this.#values.parse(text);
  }

  #encodePlain(value: unknown, format: PlainFormat): EncodedValue & Pick<BegunEncoding, 'text' | 'textBytes'> {
    const { text, exact } = writePlainText(value, format);
    const textBytes = Buffer.byteLength(text);
    const { maxValueBytes } = this.#options;
    if (textBytes > maxValueBytes) {
      throw new ValueRefusedError('too-large', `${textBytes} bytes, the most is ${maxValueBytes} (maxValueBytes)`);
    }
    const payload = { serializer: 'json', compressor: 'none', rawBytes: textBytes, bytes: text } as const;
    return { payload, text, textBytes, exact, flattened: [] };
  }

  /** What a payload of {@link encode} or {@link open} holds. @throws CorruptEntryError, and nothing else */
  decode(payload: EncodedPayload): Decoded | Promise<Decoded> {
    return this.#values.decode(payload);
  }

  /** What {@link encode} has made of a value, as its readers get it. */
  readBack(payload: EncodedPayload): Decoded | Promise<Decoded> {
    return this.#format === 'envelope'
      ? this.decode(payload)
      : asDecoded(parsePlainText(payload.bytes.toString(), this.#format));
  }

  /** @param valueKey the full name of the Redis key that it will lie under */
  seal(header: EntryHeader, payload: EncodedPayload, valueKey: string): SealedEntry {
    const { encrypts, encryptionKeys } = this.#options;
    if (this.#format === 'envelope') {
      const sealer = encrypts === true && encryptionKeys ? payloadSealer(encryptionKeys, valueKey) : undefined;
      return { bytes: writeEnvelope(header, payload, sealer, this.#stampWriter) };
    }
    const bytes = Buffer.from(wrapPlainText(payload.bytes.toString(), this.#format, header.expiresAtMs));
    return { bytes, companion: companionOf(header, bytes, this.#format) };
  }

  /** @throws CorruptEntryError, and nothing else, whatever the bytes are */
  open(bytes: Buffer, valueKey: string): { readonly header: EntryHeader; readonly payload: EncodedPayload } {
    const opened = readEnvelope(bytes, this.#stampReader);
    if (opened.isEncrypted) {
      const { header, payload, headBytes } = opened;
      const head = bytes.subarray(0, headBytes);
      const plain = openPayload(this.#options.encryptionKeys, valueKey, head, payload.bytes);
      return { header, payload: { ...payload, bytes: plain } };
    }
    if (this.#options.encrypts === true) {
      throw new CorruptEntryError('it is not encrypted, and only encrypted ones are believed here');
    }
    return opened;
  }

  /**
   * Reads what is no envelope. @returns `undefined` for what stands for no value
   * @throws CorruptEntryError, and nothing else, whatever the bytes are
   */
  readPlain(bytes: Buffer, companion: Buffer | null): PlainEntry | undefined {
    const { maxValueBytes, legacy } = this.#options;
    if (bytes.length > maxValueBytes * 2) {
      throw new CorruptEntryError(`it has ${bytes.length} bytes, the most is ${maxValueBytes} (maxValueBytes)`);
    }
    const written = companion === null ? undefined : headerOf(companion, bytes);
    if (written !== undefined) {
      const value = unwrapPlainText(bytes.toString(), written.format);
      return { value, header: written.header, expiresAtMs: undefined };
    }
    if (legacy !== true) {
      throw new CorruptEntryError('another program has written it');
    }
    const found = readForeign(bytes, this.#format);
    return found.kind === 'absent'
      ? undefined
      : { value: found.value, header: undefined, expiresAtMs: found.kind === 'keyv' ? found.expiresAtMs : undefined };
  }
}

/** Position is the number on the wire: append, never reorder. */
const PLAIN_FORMATS: readonly PlainFormat[] = ['json', 'keyv', 'cache-manager'];

function companionOf(header: EntryHeader, text: Buffer, format: PlainFormat): Buffer {
  const bytes = Buffer.concat([Buffer.of(PLAIN_FORMATS.indexOf(format)), digestOf(text)]);
  return writeEnvelope(header, { serializer: 'json', compressor: 'none', rawBytes: text.length, bytes });
}

/** What the companion says, if it was written with this very text. */
function headerOf(companion: Buffer, text: Buffer): { header: EntryHeader; format: PlainFormat } | undefined {
  try {
    const { header, payload } = readEnvelope(companion);
    const format = PLAIN_FORMATS[payload.bytes[0] ?? -1];
    const isOfText = payload.rawBytes === text.length && payload.bytes.subarray(1).equals(digestOf(text));
    return format !== undefined && isOfText ? { header, format } : undefined;
  } catch {
    return undefined; // damaged: as good as none
  }
}

function digestOf(text: Buffer): Buffer {
  return createHash('sha256').update(text).digest();
}
