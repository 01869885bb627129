import { createSecretKey, randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CorruptEntryError } from '../errors/index.js';
import { BytesValue } from '../values/index.js';
import { EntryCodec, type EntryCodecOptions } from './entry-codec.js';

const header = { createdAtMs: 1, expiresAtMs: 2, loadMs: 3, stamps: [] };
const KEY = 'cache:http:1';
const secret = createSecretKey(randomBytes(32));
const encryption = { encrypts: true, encryptionKeys: { currentId: 'k', key: () => secret } };
const compression = { thresholdBytes: 64, codec: 'gzip' } as const;

function codecWith(options: Partial<EntryCodecOptions> = {}): EntryCodec {
  return new EntryCodec({ maxValueBytes: 1_000_000, compression: false, ...options });
}

async function stored(codec: EntryCodec, value: BytesValue): Promise<Buffer> {
  return codec.seal(header, await codec.encode(value).payload(), KEY).bytes;
}

async function read(codec: EntryCodec, bytes: Buffer): Promise<unknown> {
  return (await codec.decode(codec.open(bytes, KEY).payload)).value;
}

describe('bytes with a head', () => {
  it.each([
    ['as they are', codecWith()],
    ['compressed', codecWith({ compression })],
    ['encrypted', codecWith(encryption)],
    ['compressed and encrypted', codecWith({ ...encryption, compression })],
  ])('come back equal, %s', async (_how, codec) => {
    const head = fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value).replaceAll('__proto__', 'proto')) as unknown),
      { noNullPrototype: true },
    );
    await fc.assert(
      fc.asyncProperty(head, fc.uint8Array({ maxLength: 400 }), async (fields, body) => {
        const back = await read(codec, await stored(codec, new BytesValue({ ...fields }, body)));
        expect(back).toBeInstanceOf(BytesValue);
        expect((back as BytesValue).head).toEqual(JSON.parse(JSON.stringify(fields)));
        expect((back as BytesValue).body.equals(body)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('are stored as length, head and body, without a text form of the body', async () => {
    const body = randomBytes(3000);
    const bytes = await stored(codecWith(), new BytesValue({ a: 1 }, body));
    expect(bytes.subarray(-3011)).toEqual(Buffer.concat([Buffer.from([0, 0, 0, 7]), Buffer.from('{"a":1}'), body]));
  });

  it('are compressed and encrypted as the options say', async () => {
    const value = new BytesValue({}, Buffer.alloc(10_000, 'secret '));
    expect((await stored(codecWith({ compression }), value)).length).toBeLessThan(500);
    expect((await stored(codecWith(encryption), value)).includes('secret')).toBe(false);
  });

  it('are not compressed again when the body is compressed already', async () => {
    const value = new BytesValue({}, Buffer.alloc(10_000), true);
    expect((await stored(codecWith({ compression }), value)).length).toBeGreaterThan(10_000);
  });

  it('have memory of their own: neither a part of a larger buffer, nor the answer of Redis, is kept', async () => {
    const given = new BytesValue({}, randomBytes(100_000).subarray(0, 10));
    const back = (await read(codecWith(), await stored(codecWith(), given))) as BytesValue;
    expect([given.body.buffer.byteLength, back.body.buffer.byteLength]).toEqual([10, 10]);
    const counted = (length: number) =>
      new BytesValue({}, Buffer.alloc(length)).bytes - new BytesValue({}, Buffer.alloc(0)).bytes;
    expect([counted(5_000), counted(50_000)]).toEqual([10_000, 50_000]); // a short body may be kept as text, too
  });

  it('larger than maxValueBytes are refused, in both directions', async () => {
    const large = new BytesValue({}, Buffer.alloc(2_000));
    const bytes = await stored(codecWith(), large);
    await expect(stored(codecWith({ maxValueBytes: 1_000 }), large)).rejects.toThrow(/2000 bytes/);
    await expect(read(codecWith({ maxValueBytes: 1_000 }), bytes)).rejects.toThrow(CorruptEntryError);
  });

  it('with a head that is not plain JSON are refused', async () => {
    const heads: Record<string, unknown>[] = [{ at: new Date(0) }, { missing: undefined }, { map: new Map() }];
    for (const head of heads) {
      await expect(stored(codecWith(), new BytesValue(head, Buffer.alloc(1)))).rejects.toThrow(/not plain JSON/);
    }
  });

  it.each([
    ['nothing', ''],
    ['a part of the length', '000000'],
    ['a head longer than the payload', '000000ff7b7d'],
    ['a head of four billion bytes', 'ffffffff7b7d'],
    ['a head that is not JSON', '000000027b7b'],
    ['a head that is an array', '000000025b5d'],
    ['a head that is null', '000000046e756c6c'],
    ['no head', '00000000'],
  ])('that are %s are a corrupt entry', async (_what, hex) => {
    const bytes = Buffer.from(hex, 'hex');
    const payload = { serializer: 'bytes', compressor: 'none', rawBytes: bytes.length, bytes } as const;
    await expect(async () => codecWith().decode(payload)).rejects.toThrow(CorruptEntryError);
  });

  it('can not pollute a prototype by their head', async () => {
    const bytes = Buffer.from('\0\0\0\u001f{"__proto__":{"polluted":true}}');
    const { value } = await codecWith().decode({ serializer: 'bytes', compressor: 'none', rawBytes: 35, bytes });
    expect((value as BytesValue).head).toEqual({});
    expect({}).not.toHaveProperty('polluted');
  });
});
