/* oxlint-disable unicorn/no-thenable -- an object with a `then` that is data is one of the cases */
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CorruptEntryError, ValueRefusedError } from '../errors/index.js';
import type { EncodedPayload } from './envelope.js';
import { ValueCodec } from './value-codec.js';

const maxValueBytes = 1024 * 1024;
const codec = new ValueCodec({ maxValueBytes, compression: { thresholdBytes: 1024, codec: 'gzip' } });

async function decodeError(payload: Partial<EncodedPayload>): Promise<unknown> {
  const whole: EncodedPayload = {
    serializer: 'json',
    compressor: 'gzip',
    rawBytes: 10,
    bytes: Buffer.alloc(0),
    ...payload,
  };
  try {
    await codec.decode(whole);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('ValueCodec', () => {
  it('returns at once for small values, and a promise for large ones', async () => {
    const small = codec.encode({ text: 'x'.repeat(2_000) }).payload();
    const large = codec.encode({ text: 'x'.repeat(200_000) }).payload();
    expect(small).toMatchObject({ compressor: 'gzip' });
    expect(large).toBeInstanceOf(Promise);
    const decoding = codec.decode(await large);
    expect(decoding).toBeInstanceOf(Promise);
    const value = { text: 'x'.repeat(200_000) };
    expect(await decoding).toStrictEqual({ value, isTree: true, isAscii: true, text: JSON.stringify(value) });
  });

  it('reads the value before encode returns', async () => {
    const value = { text: 'x'.repeat(100_000), state: 'before' };
    const encoding = codec.encode(value);
    value.state = 'after';
    expect(await codec.decode(await encoding.payload())).toMatchObject({ value: { state: 'before' } });
  });

  it('never awaits a value that looks like a promise', async () => {
    const payload = await codec.encode({ then: 'x'.repeat(100_000) }).payload();
    const value = { then: 'x'.repeat(100_000) };
    expect(await codec.decode(payload)).toStrictEqual({
      value,
      isTree: true,
      isAscii: true,
      text: JSON.stringify(value),
    });
  });

  it.each<[string, unknown, boolean]>([
    ['texts and names that are ASCII', { name: ['text', 1, null] }, true],
    ['a text with Latin letters', ['é'], false],
    ['a text with others', ['Ж'], false],
    ['a name with others', { Ж: 1 }, false],
    ['half a character, which JSON writes as an escape', ['\uD800'], false],
    ['what only looks like an escape', ['\\u0041'], false],
    ['a date', { at: new Date(0) }, false],
  ])('reports for %s whether all of it is ASCII', async (_what, value, isAscii) => {
    const encoding = codec.encode(value);
    expect(encoding.isAscii).toBe(isAscii);
    const payload = await encoding.payload();
    const bytes = Buffer.from(payload.bytes);
    for (const read of [payload, { ...payload, bytes }]) {
      expect(await codec.decode(read)).toMatchObject({ value, isAscii });
    }
    expect(encoding.isTree ? codec.parse(encoding.text).isAscii : false).toBe(isAscii);
  });

  it('does not report damaged bytes as ASCII, although each of them becomes one character', async () => {
    const bytes = Buffer.from([0x22, 0xff, 0x22]);
    const decoded = await codec.decode({ serializer: 'json', compressor: 'none', rawBytes: 3, bytes });
    expect(decoded).toEqual({ value: '\uFFFD', isTree: true, isAscii: false, text: '"\uFFFD"' });
  });

  it('compresses from the threshold on, and never with `compression: false`', async () => {
    const compressorOf = async (value: unknown, by = codec) => (await by.encode(value).payload()).compressor;
    expect(await compressorOf('x'.repeat(1021))).toBe('none');
    expect(await compressorOf('x'.repeat(1022))).toBe('gzip');
    expect(await compressorOf('x'.repeat(10_000), new ValueCodec({ maxValueBytes, compression: false }))).toBe('none');
  });
});

describe('the limits of ValueCodec', () => {
  it('refuse to write more than maxValueBytes, counted before compression', () => {
    expect(() => codec.encode('x'.repeat(maxValueBytes - 2))).not.toThrow();
    expect(() => codec.encode('x'.repeat(maxValueBytes - 1))).toThrow(ValueRefusedError);
    expect(() => codec.encode('é'.repeat(maxValueBytes / 2))).toThrow(/too-large/);
  });

  it('reject a declared size over maxValueBytes', async () => {
    const bytes = gzipSync(JSON.stringify('x'.repeat(maxValueBytes)));
    expect(await decodeError({ bytes, rawBytes: maxValueBytes + 2 })).toBeInstanceOf(CorruptEntryError);
  });

  it.each<[string, Partial<EncodedPayload>]>([
    ['nothing', {}],
    ['fewer bytes than declared', { bytes: gzipSync('123'), rawBytes: 4 }],
    ['more bytes than declared', { bytes: gzipSync('12345'), rawBytes: 4 }],
    ['many fewer bytes than declared', { bytes: gzipSync('123'), rawBytes: 100_000 }],
    ['another compressor', { bytes: brotliCompressSync('123'), rawBytes: 3 }],
    ['a cut-off stream', { bytes: gzipSync('[1,2,3]').subarray(0, -9), rawBytes: 7 }],
    ['a second compression inside', { bytes: gzipSync(gzipSync('1')), rawBytes: gzipSync('1').length }],
    ['uncompressed bytes of another size', { compressor: 'none', bytes: Buffer.from('12'), rawBytes: 1 }],
  ])('reject %s as a corrupt entry', async (_name, payload) => {
    expect(await decodeError(payload)).toBeInstanceOf(CorruptEntryError);
  });
});
