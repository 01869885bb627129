import { CorruptEntryError, ValueRefusedError } from '../errors/index.js';

/** The unique id of one generation of a tag or a namespace. */
export type Stamp = readonly [name: string, stamp: string];

const MAX_STAMPS_BYTES = 0xffff;
const MAX_STAMP_BYTES = 0xff;
const LENGTHS_BYTES = 3;

/** @throws ValueRefusedError (`too-large`) when the stamps don't fit into their length fields */
export function measureStamps(stamps: readonly Stamp[]): number {
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

/** Writes what `measureStamps` measured, from the offset `at`. */
export function writeStamps(stamps: readonly Stamp[], entry: Buffer, at: number): void {
  let next = at;
  for (const [name, stamp] of stamps) {
    const nameBytes = entry.write(name, next + 2);
    next = entry.writeUInt16BE(nameBytes, next) + nameBytes;
    const stampBytes = entry.write(stamp, next + 1);
    next = entry.writeUInt8(stampBytes, next) + stampBytes;
  }
}

/**
 * Reads the stamps between two offsets. At least two more bytes must follow them (the checksum does).
 * @throws CorruptEntryError when the lengths inside don't add up to the length outside
 */
export function readStamps(entry: Buffer, from: number, to: number): Stamp[] {
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
