import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CorruptEntryError, ValueRefusedError } from '../errors/index.js';
import { ENVELOPE_MAGIC, type EntryHeader, readEnvelope, writeEnvelope } from './envelope.js';
import { ValueCodec } from './value-codec.js';

const codec = new ValueCodec({ maxValueBytes: 4 * 1024 * 1024, compression: { thresholdBytes: 100, codec: 'gzip' } });
const header: EntryHeader = {
  createdAtMs: 1_700_000_000_123.5,
  expiresAtMs: 1_700_000_300_000,
  loadMs: 250,
  stamps: [
    ['#clear', '01J9ZQ'],
    ['#tag:größe', 'x'],
    ['', ''],
  ],
};
const values = [{ id: 1, name: 'Ada' }, new Map([['at', new Date(0)]]), 'compressible '.repeat(40), undefined];

function entryOf(value: unknown): Buffer {
  const payload = codec.encode(value).payload();
  if (payload instanceof Promise) {
    throw new TypeError('Use a small value');
  }
  return writeEnvelope(header, payload);
}

/** Rewrites the checksum, as a forged entry would have it. */
function forge(value: unknown, change: (entry: Buffer) => void): Buffer {
  const entry = entryOf(value);
  const crcAt = 29 + entry.readUInt16BE(27);
  change(entry);
  entry.writeUInt32BE(crc32(entry.subarray(crcAt + 4), crc32(entry.subarray(0, crcAt))), crcAt);
  return entry;
}

describe('an envelope', () => {
  it.each(values)('restores its header and payload (%#)', (value) => {
    const entry = entryOf(value);
    const read = readEnvelope(entry);
    expect(entry[0]).toBe(ENVELOPE_MAGIC);
    expect(read.header).toStrictEqual(header);
    expect(read.payload.bytes.buffer).toBe(entry.buffer);
    expect(codec.decode(read.payload)).toMatchObject({ value, isTree: read.payload.serializer === 'json' });
  });

  it('is the same bytes on every machine', () => {
    const payload = { serializer: 'json', compressor: 'none', rawBytes: 2, bytes: Buffer.from('{}') } as const;
    const entry = writeEnvelope({ createdAtMs: 1, expiresAtMs: 2, loadMs: 3, stamps: [['t', 'ab']] }, payload);
    expect(entry.toString('hex')).toBe(
      'dc01003ff00000000000004000000000000000000000030000000200060001740261627bb2794a7b7d',
    );
  });

  it('clamps a load time that is out of range', () => {
    const payload = readEnvelope(entryOf(1)).payload;
    for (const [loadMs, read] of [
      [-5, 0],
      [NaN, 0],
      [1.6, 2],
      [1e12, 0xffff_ffff],
    ] as const) {
      expect(readEnvelope(writeEnvelope({ ...header, loadMs }, payload)).header.loadMs).toBe(read);
    }
  });

  it('refuses to write a time that it could not read back', () => {
    const { payload } = readEnvelope(entryOf(1));
    expect(() => writeEnvelope({ ...header, expiresAtMs: Infinity }, payload)).toThrow(RangeError);
    expect(() => writeEnvelope({ ...header, stamps: [['a', 'x'.repeat(256)]] }, payload)).toThrow(ValueRefusedError);
    expect(() => writeEnvelope({ ...header, stamps: [['é'.repeat(40_000), 'x']] }, payload)).toThrow(ValueRefusedError);
  });
});

describe('damaged bytes', () => {
  it.each(values)('are detected wherever a bit flips (%#)', (value) => {
    const entry = entryOf(value);
    for (let bit = 0; bit < entry.length * 8; bit++) {
      const damaged = Buffer.from(entry);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => readEnvelope(damaged)).toThrow(CorruptEntryError);
    }
  });

  it.each(values)('are detected wherever they are cut off, and when bytes are added (%#)', (value) => {
    const entry = entryOf(value);
    for (let length = 0; length < entry.length; length++) {
      expect(() => readEnvelope(entry.subarray(0, length))).toThrow(CorruptEntryError);
    }
    expect(() => readEnvelope(Buffer.concat([entry, Buffer.alloc(1)]))).toThrow(CorruptEntryError);
  });

  it.each<[string, (entry: Buffer) => void]>([
    ['another magic', (entry) => entry.writeUInt8(0x7b, 0)],
    ['another version', (entry) => entry.writeUInt8(2, 1)],
    ['an unknown serializer', (entry) => entry.writeUInt8(4, 2)],
    ['an unknown compressor', (entry) => entry.writeUInt8(1 << 7, 2)],
    ['an unknown compressor of a known encoding', (entry) => entry.writeUInt8((1 << 7) | (2 << 3), 2)],
    ['a creation time that is not a number', (entry) => entry.writeDoubleBE(NaN, 3)],
    ['an endless expiry', (entry) => entry.writeDoubleBE(Infinity, 11)],
    ['a name longer than the stamps', (entry) => entry.writeUInt16BE(0xffff, 29)],
    ['a name that ends where the stamps end', (entry) => entry.writeUInt16BE(entry.readUInt16BE(27) - 2, 29)],
    ['a stamp longer than the stamps', (entry) => entry.writeUInt8(0xff, 29 + 2 + 6)],
  ])('are refused with a valid checksum and %s', (_name, change) => {
    expect(() => readEnvelope(forge({ a: 1 }, change))).toThrow(CorruptEntryError);
  });
});
