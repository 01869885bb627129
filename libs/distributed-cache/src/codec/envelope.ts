import { crc32 } from 'node:zlib';
import { CorruptEntryError, ValueRefusedError } from '../errors/index.js';

/**
 * The bytes of one entry in Redis, format version 1 (all numbers big-endian):
 *
 *    0  0xDC                     no JSON text begins with it; a value with another first byte is a legacy value
 *    1  version                  1
 *    2  flags                    bits 0-2 serializer, bits 3-5 compressor, bit 6 encrypted, bit 7 zero
 *    3  createdAtMs   float64    both times are of the Redis server's clock; clocks of processes are never compared
 *   11  expiresAtMs   float64
 *   19  loadMs        uint32
 *   23  rawBytes      uint32
 *   27  stampsBytes   uint16
 *   29  stamps                   each: uint16 length, name, uint8 length, stamp (UTF-8)
 *    …  CRC-32        uint32     of everything before it and after it
 *    …  payload                  to the end; encrypted by payload-cipher.ts where bit 6 is set
 *
 * The checksum covers the header too. Without it, a flipped bit in the expiry or in a stamp could make an expired or
 * invalidated value valid. An entry with a wrong checksum is a miss.
 *
 * Text that begins with a character from U+0700 to U+073F also begins with 0xDC. Such a legacy value is rejected by its
 * version or its checksum.
 */

/** First byte of every entry of this library. A value with another first byte was written by another program. */
export const ENVELOPE_MAGIC = 0xdc;

/** Whether the bytes begin as an entry of this library does. */
export function isEnvelope(bytes: Buffer): boolean {
  return bytes[0] === ENVELOPE_MAGIC;
}

export const ENVELOPE_VERSION = 1;
const STAMPS_AT = 29;
const CRC_BYTES = 4;
const MAX_UINT32 = 0xffff_ffff;
/** The index is the number in the stored bytes: new items are added at the end. Each list holds at most 8 items. */
const SERIALIZERS: readonly SerializerId[] = ['json', 'rich', 'undefined', 'bytes'];
const COMPRESSORS: readonly CompressorId[] = [
  'none',
  'gzip',
  'deflate',
  'brotli',
  'zstd',
  'lz4',
  'snappy',
  'dictionary', // a version that does not know it reads a miss
];
const ENCRYPTED = 1 << 6;

/** How a value was turned into text: plain JSON, devalue's notation, or the value `undefined`, which needs no text. */
export type TextSerializerId = 'json' | 'rich' | 'undefined';

/** How a value was serialized: as text, or as a head and a body of bytes. */
export type SerializerId = TextSerializerId | 'bytes';

/** How the text was compressed. `dictionary`: deflate with a dictionary, whose id stands before the compressed bytes. */
export type CompressorId = 'none' | 'gzip' | 'deflate' | 'brotli' | 'zstd' | 'lz4' | 'snappy' | 'dictionary';

/** A value in its stored form, with what is needed to read it back. */
export interface EncodedPayload {
  readonly serializer: SerializerId;
  readonly compressor: CompressorId;
  /** Size of the serialized form before compression, in bytes: the most that decompression may ever produce. */
  readonly rawBytes: number;
  /**
   * The stored bytes, or the text of an uncompressed payload before it is written. The UTF-8 of the text has `rawBytes`
   * bytes. The buffer must not be changed.
   */
  readonly bytes: Buffer | string;
}

/**
 * A payload that was read. `bytes` is a view of the payload's part of the entry's buffer, and keeps the whole buffer in
 * memory.
 */
export interface StoredPayload extends EncodedPayload {
  readonly bytes: Buffer;
}

export interface EntryHeader {
  /** When the value was stored, in the Redis server's time. */
  readonly createdAtMs: number;
  /** When it stops being fresh (not when Redis drops it), in the Redis server's time. */
  readonly expiresAtMs: number;
  /** How long the loader took, in milliseconds, rounded; 0 when the value was set directly. */
  readonly loadMs: number;
  /** The stamps of the namespace and of each tag that were current when the load began. */
  readonly stamps: readonly Stamp[];
}

/** Encrypts a payload, and authenticates with it the bytes before the checksum (additional authenticated data). */
export interface PayloadSealer {
  /** The number of bytes that encryption adds. */
  readonly overheadBytes: number;
  /** Encrypts the payload. @param head everything before the checksum */
  seal(plain: Buffer, head: Buffer): Buffer;
}

interface OpenedEnvelope {
  readonly header: EntryHeader;
  readonly payload: StoredPayload;
  /** Whether the bytes of the payload are still encrypted. */
  readonly isEncrypted: boolean;
  /** The length of everything before the checksum; an encrypted payload is authenticated together with these bytes. */
  readonly headBytes: number;
}

/**
 * Writes one entry into one new buffer.
 * @param sealer encrypts the payload
 * @param stampWriter shared by all entries of a namespace: most carry the same stamps
 * @throws ValueRefusedError (`too-large`) when `rawBytes` exceeds 4 GiB, or the stamps exceed 65,535 bytes
 * @throws RangeError when a time is not finite: such an entry could not be read back
 */
export function writeEnvelope(
  header: EntryHeader,
  payload: EncodedPayload,
  sealer?: PayloadSealer,
  stampWriter = new StampWriter(),
): Buffer {
  const { createdAtMs, expiresAtMs } = header;
  if (!Number.isFinite(createdAtMs) || !Number.isFinite(expiresAtMs)) {
    throw new RangeError(`An entry needs finite times, got createdAtMs ${createdAtMs}, expiresAtMs ${expiresAtMs}`);
  }
  if (payload.rawBytes > MAX_UINT32) {
    throw new ValueRefusedError('too-large', 'its serialized form takes more than 4 GiB');
  }
  const stamps = stampWriter.bytesOf(header.stamps);
  const crcAt = STAMPS_AT + stamps.length;
  const payloadAt = crcAt + CRC_BYTES;
  const { bytes } = payload;
  const payloadBytes = typeof bytes === 'string' ? payload.rawBytes : bytes.length;
  const entry = Buffer.allocUnsafe(payloadAt + payloadBytes + (sealer?.overheadBytes ?? 0));
  entry[0] = ENVELOPE_MAGIC;
  entry[1] = ENVELOPE_VERSION;
  entry[2] =
    SERIALIZERS.indexOf(payload.serializer) |
    (COMPRESSORS.indexOf(payload.compressor) << 3) |
    (sealer === undefined ? 0 : ENCRYPTED);
  entry.writeDoubleBE(createdAtMs, 3);
  entry.writeDoubleBE(expiresAtMs, 11);
  entry.writeUInt32BE(toUint32(header.loadMs), 19);
  entry.writeUInt32BE(payload.rawBytes, 23);
  entry.writeUInt16BE(stamps.length, 27);
  entry.set(stamps, STAMPS_AT);
  if (sealer !== undefined) {
    entry.set(sealer.seal(typeof bytes === 'string' ? Buffer.from(bytes) : bytes, entry.subarray(0, crcAt)), payloadAt);
  } else if (typeof bytes === 'string') {
    entry.write(bytes, payloadAt, bytes.length === payloadBytes ? 'latin1' : 'utf8');
  } else {
    entry.set(bytes, payloadAt);
  }
  entry.writeUInt32BE(checksum(entry, crcAt, entry.subarray(payloadAt)), crcAt);
  return entry;
}

/**
 * Reads an entry that `writeEnvelope` wrote. The payload is a view of `bytes`; it is not decompressed or parsed yet.
 * @param stampReader shared by all entries of a namespace: most carry the same stamps
 * @throws CorruptEntryError for bytes that can't be read, and no other error for any bytes
 */
export function readEnvelope(bytes: Buffer, stampReader = new StampReader()): OpenedEnvelope {
  if (bytes.length < STAMPS_AT + CRC_BYTES) {
    throw new CorruptEntryError(`${bytes.length} bytes are too few`);
  }
  if (bytes[0] !== ENVELOPE_MAGIC) {
    throw new CorruptEntryError('it has no envelope');
  }
  if (bytes[1] !== ENVELOPE_VERSION) {
    throw new CorruptEntryError(`its format version is ${bytes[1]}, this program reads version ${ENVELOPE_VERSION}`);
  }
  const crcAt = STAMPS_AT + bytes.readUInt16BE(27);
  const payloadAt = crcAt + CRC_BYTES;
  if (payloadAt > bytes.length) {
    throw new CorruptEntryError('its header is longer than the entry');
  }
  const payloadBytes = bytes.subarray(payloadAt);
  if (bytes.readUInt32BE(crcAt) !== checksum(bytes, crcAt, payloadBytes)) {
    throw new CorruptEntryError('its checksum does not match');
  }
  const createdAtMs = bytes.readDoubleBE(3);
  const expiresAtMs = bytes.readDoubleBE(11);
  if (!Number.isFinite(createdAtMs) || !Number.isFinite(expiresAtMs)) {
    throw new CorruptEntryError('its times are not finite');
  }
  const flags = bytes.readUInt8(2);
  const serializer = SERIALIZERS[flags & 0b111];
  const compressor = COMPRESSORS[(flags & ~ENCRYPTED) >> 3]; // with bit 7: if it is set, the index is past the list
  if (serializer === undefined || compressor === undefined) {
    throw new CorruptEntryError(`its flags ${flags} are unknown`);
  }
  const stamps = stampReader.read(bytes, STAMPS_AT, crcAt);
  return {
    header: { createdAtMs, expiresAtMs, loadMs: bytes.readUInt32BE(19), stamps },
    payload: { serializer, compressor, rawBytes: bytes.readUInt32BE(23), bytes: payloadBytes },
    isEncrypted: (flags & ENCRYPTED) !== 0,
    headBytes: crcAt,
  };
}

/** The first bytes that {@link readHead} needs, as a rule: the times, the stamps of the namespace and of many tags. */
export const HEAD_BYTES = 1024;

/** What the first bytes of an entry say. */
export interface EnvelopeHead extends EntryHeader {
  readonly version: number;
  readonly rawBytes: number;
  readonly isCompressed: boolean;
}

/**
 * Reads the first bytes of an entry without its checksum: for statistics and comparisons, not for a value. Never throws.
 * @returns the head, with those stamps that are complete within the bytes; `undefined` for a value without an envelope
 */
export function readHead(bytes: Buffer): EnvelopeHead | undefined {
  if (!isEnvelope(bytes) || bytes.length < STAMPS_AT) {
    return undefined;
  }
  return {
    version: bytes.readUInt8(1),
    createdAtMs: bytes.readDoubleBE(3),
    expiresAtMs: bytes.readDoubleBE(11),
    loadMs: bytes.readUInt32BE(19),
    rawBytes: bytes.readUInt32BE(23),
    isCompressed: (bytes.readUInt8(2) & ~ENCRYPTED) >> 3 > 0,
    stamps: readStamps(bytes, STAMPS_AT, Math.min(bytes.length, STAMPS_AT + bytes.readUInt16BE(27))).stamps,
  };
}

/** The CRC-32 of the whole entry except the checksum itself. */
function checksum(entry: Buffer, headBytes: number, payloadBytes: Buffer): number {
  return crc32(payloadBytes, crc32(entry.subarray(0, headBytes)));
}

/**
 * Limits a load time to 32 bits. It is only a hint for early refresh, so a value out of range is clamped, and is no
 * error.
 */
function toUint32(value: number): number {
  return value > 0 ? Math.min(Math.round(value), MAX_UINT32) : 0;
}

/** The unique id of one generation of a tag or a namespace. */
export type Stamp = readonly [name: string, stamp: string];

/**
 * The stamp with this name. Every hit in Redis calls this, so it is a loop: `find` would make a closure and an iterator
 * for each.
 */
export function stampNamed(stamps: readonly Stamp[], wanted: string): string | undefined {
  for (const stamp of stamps) {
    if (stamp[0] === wanted) {
      return stamp[1];
    }
  }
  return undefined;
}

const MAX_STAMPS_BYTES = 0xffff;
const MAX_STAMP_BYTES = 0xff;
const LENGTHS_BYTES = 3;

/** Writes stamps, and remembers the last list: as a rule the next entry carries the same one. */
export class StampWriter {
  private last: readonly Stamp[] | undefined;
  private lastBytes: Buffer = Buffer.alloc(0);

  /**
   * The bytes of the stamps.
   * @throws ValueRefusedError (`too-large`) when the stamps don't fit into their length fields
   */
  bytesOf(stamps: readonly Stamp[]): Buffer {
    if (stamps !== this.last) {
      this.lastBytes = encodeStamps(stamps);
      this.last = stamps;
    }
    return this.lastBytes;
  }
}

function encodeStamps(stamps: readonly Stamp[]): Buffer {
  const bytes = Buffer.allocUnsafe(measureStamps(stamps));
  let next = 0;
  for (const [name, stamp] of stamps) {
    const nameBytes = bytes.write(name, next + 2);
    next = bytes.writeUInt16BE(nameBytes, next) + nameBytes;
    const stampBytes = bytes.write(stamp, next + 1);
    next = bytes.writeUInt8(stampBytes, next) + stampBytes;
  }
  return bytes;
}

function measureStamps(stamps: readonly Stamp[]): number {
  let total = 0;
  for (const [name, stamp] of stamps) {
    const stampBytes = Buffer.byteLength(stamp);
    total += LENGTHS_BYTES + Buffer.byteLength(name) + stampBytes;
    if (stampBytes > MAX_STAMP_BYTES || total > MAX_STAMPS_BYTES) {
      throw new ValueRefusedError('too-large', 'its tags and their stamps take more than 65535 bytes');
    }
  }
  return total;
}

/**
 * Reads the stamps of entries, and remembers those of the last entry: as a rule the next carries the same ones, and its
 * texts need not be decoded.
 */
export class StampReader {
  private lastBytes: Buffer = Buffer.alloc(0);
  private last: readonly Stamp[] = [];

  /**
   * Reads the stamps between two offsets.
   * @throws CorruptEntryError when the inner lengths don't add up to the outer length
   */
  read(entry: Buffer, from: number, to: number): readonly Stamp[] {
    const { lastBytes } = this;
    if (to - from !== lastBytes.length || lastBytes.compare(entry, from, to) !== 0) {
      const { stamps, end } = readStamps(entry, from, to);
      if (end !== to) {
        throw new CorruptEntryError('its stamps are cut off');
      }
      this.last = stamps;
      this.lastBytes = Buffer.from(entry.subarray(from, to)); // a copy: a view would keep the whole entry in memory
    }
    return this.last;
  }
}

/** Reads the stamps between two offsets, as far as they are complete. */
function readStamps(entry: Buffer, from: number, to: number): { readonly stamps: Stamp[]; readonly end: number } {
  const stamps: Stamp[] = [];
  let end = from;
  while (end + LENGTHS_BYTES <= to) {
    const nameAt = end + 2;
    const nameEnd = nameAt + entry.readUInt16BE(end);
    const stampAt = nameEnd + 1;
    const stampEnd = stampAt > to ? Infinity : stampAt + entry.readUInt8(nameEnd);
    if (stampEnd > to) {
      break;
    }
    stamps.push([entry.toString('utf8', nameAt, nameEnd), entry.toString('utf8', stampAt, stampEnd)]);
    end = stampEnd;
  }
  return { stamps, end };
}
