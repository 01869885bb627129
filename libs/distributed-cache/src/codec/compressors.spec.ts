import { randomBytes } from 'node:crypto';
import * as zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CorruptEntryError } from '../errors/index.js';
import { compress, compressorOf, decompress } from './compressors.js';
import type { CompressorId } from './envelope.js';

const hasZstd = 'zstdCompress' in zlib;
const ids = (['gzip', 'deflate', 'brotli', 'zstd', 'lz4', 'snappy'] as const).filter((id) => id !== 'zstd' || hasZstd);
/** Compressible, but not to nothing. */
const textOf = (bytes: number) => {
  const part = () => `{"title":"wireless headphones","id":"${randomBytes(12).toString('hex')}"},`;
  return Buffer.from(
    Array.from({ length: Math.ceil(bytes / 60) }, part)
      .join('')
      .slice(0, bytes),
  );
};

async function failureOf(id: CompressorId, bytes: Buffer, rawBytes: number): Promise<unknown> {
  try {
    await decompress(id, bytes, rawBytes);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe.each(ids)('%s', (id) => {
  it.each([1_000, 31_000, 200_000])('restores the bytes that it compressed (%i bytes)', async (length) => {
    const raw = textOf(length);
    const { compressor, bytes } = await compress(id, raw);
    expect(compressor).toBe(id);
    expect(bytes.length).toBeLessThan(raw.length * 0.9);
    expect(raw.equals(await decompress(id, bytes, raw.length))).toBe(true);
  });

  it('restores values of every size around those at which its window grows', async () => {
    for (const size of [1, 250, 512, 1024, 2048, 8192, 16_384, 32_767]) {
      for (const length of [size - 263, size - 262, size - 1, size, size + 1].filter((each) => each > 0)) {
        const raw = textOf(length);
        const { compressor, bytes } = await compress(id, raw);
        expect(raw.equals(await decompress(compressor, bytes, raw.length))).toBe(true);
      }
    }
  });

  it('compresses off the event loop from 32 KiB on, and decompresses there from 128 KiB on', async () => {
    const large = textOf(128 * 1024);
    const compressing = compress(id, large);
    expect(compressing).toBeInstanceOf(Promise);
    const { bytes } = await compressing;
    const decompressing = decompress(id, bytes, large.length);
    expect(decompressing).toBeInstanceOf(Promise);
    expect(large.equals(await decompressing)).toBe(true);
    const smaller = await compress(id, large.subarray(1));
    expect(decompress(id, smaller.bytes, large.length - 1)).not.toBeInstanceOf(Promise);
    expect(compress(id, large.subarray(0, 32 * 1024))).toBeInstanceOf(Promise);
    expect(compress(id, large.subarray(0, 32 * 1024 - 1))).not.toBeInstanceOf(Promise);
  });

  it.each([2_000, 50_000])('leaves bytes uncompressed when it would not save a tenth (%i bytes)', async (length) => {
    const noise = randomBytes(length);
    expect(await compress(id, noise)).toStrictEqual({ compressor: 'none', bytes: noise });
    const halfNoise = Buffer.concat([noise, Buffer.alloc(length)]);
    expect(await compress(id, halfNoise)).toMatchObject({ compressor: id });
  });

  it('stops a decompression bomb at the size that the envelope declares, with little memory', async () => {
    const bomb = compressorOf(id)?.compressSync(Buffer.alloc(64 * 1024 * 1024)) ?? Buffer.alloc(0);
    const rssBefore = process.memoryUsage().rss;
    for (const rawBytes of [0, 1, 1_000, 40_000, 1_000_000]) {
      expect(await failureOf(id, bomb, rawBytes)).toBeInstanceOf(CorruptEntryError);
    }
    expect(process.memoryUsage().rss - rssBefore).toBeLessThan(32 * 1024 * 1024);
  });

  it.each([800, 60_000])(
    'takes damaged, cut and lengthened bytes for a corrupt entry or for the right ones (%i)',
    async (length) => {
      const raw = textOf(length);
      const { bytes } = await compress(id, raw);
      for (let round = 0; round < 60; round++) {
        const damaged = Buffer.from(bytes.subarray(0, bytes.length - (round % 3)));
        const at = Math.floor((round / 60) * damaged.length);
        damaged[at] = (damaged[at] ?? 0) ^ (1 << (round % 8));
        const outcome = await failureOf(id, damaged, raw.length);
        expect(outcome === undefined || outcome instanceof CorruptEntryError).toBe(true);
      }
      expect(await failureOf(id, bytes, raw.length + 1)).toBeInstanceOf(CorruptEntryError);
      expect(await failureOf(id, Buffer.alloc(0), raw.length)).toBeInstanceOf(CorruptEntryError);
    },
  );

  it('does not decompress the bytes of another compressor', async () => {
    const raw = textOf(5_000);
    const { bytes } = await compress(id, raw);
    for (const other of ids.filter((candidate) => candidate !== id)) {
      expect(await failureOf(other, bytes, raw.length)).toBeInstanceOf(CorruptEntryError);
    }
  });
});

describe('a compressor that this machine lacks', () => {
  it.skipIf(hasZstd)(
    'leaves values uncompressed, and reads an entry that was compressed with it as a miss',
    async () => {
      const raw = textOf(2_000);
      expect(await compress('zstd', raw)).toStrictEqual({ compressor: 'none', bytes: raw });
      expect(await failureOf('zstd', raw, 2_000)).toBeInstanceOf(CorruptEntryError);
    },
  );
});
