import { CorruptEntryError, ValueRefusedError } from '../errors/index.js';

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

  /** Reads the stamps between two offsets. @throws CorruptEntryError as {@link readStamps} */
  read(entry: Buffer, from: number, to: number): readonly Stamp[] {
    const { lastBytes } = this;
    if (to - from !== lastBytes.length || lastBytes.compare(entry, from, to) !== 0) {
      this.last = readStamps(entry, from, to);
      this.lastBytes = Buffer.from(entry.subarray(from, to)); // a copy: a view would keep the whole entry in memory
    }
    return this.last;
  }
}

/**
 * Reads the stamps between two offsets. At least two more bytes must follow them (the checksum does).
 * @throws CorruptEntryError when the inner lengths don't add up to the outer length
 */
function readStamps(entry: Buffer, from: number, to: number): Stamp[] {
  const stamps: Stamp[] = [];
  let next = from;
  while (next < to) {
    const nameAt = next + 2;
    const nameEnd = nameAt + entry.readUInt16BE(next);
    const stampAt = nameEnd + 1;
    const stampEnd = stampAt > to ? Infinity : stampAt + entry.readUInt8(nameEnd);
    if (stampEnd > to) {
      throw new CorruptEntryError('its stamps are cut off');
    }
    stamps.push([entry.toString('utf8', nameAt, nameEnd), entry.toString('utf8', stampAt, stampEnd)]);
    next = stampEnd;
  }
  return stamps;
}
