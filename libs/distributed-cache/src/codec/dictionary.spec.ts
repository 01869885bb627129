import { createHash, randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { productOf, searchOf, userOf } from '../../../../scripts/corpora.mjs';
import { CorruptEntryError } from '../errors/index.js';
import { BytesValue } from '../values/index.js';
import { type Dictionaries, Dictionary, dictionaryOf, MAX_DICTIONARY_BYTES, trainDictionary } from './dictionary.js';
import { readEnvelope, writeEnvelope } from './envelope.js';
import { ValueCodec } from './value-codec.js';

const header = { createdAtMs: 1, expiresAtMs: 2, loadMs: 3, stamps: [] };

const bytesOf = (make: (index: number) => unknown, from: number, count: number): Buffer[] =>
  Array.from({ length: count }, (_, index) => Buffer.from(JSON.stringify(make(from + index))));

async function trainedOn(values: readonly Buffer[], before?: Dictionary): Promise<Dictionary> {
  const dictionary = await trainDictionary(values, before);
  expect(dictionary).toBeDefined();
  return dictionary ?? new Dictionary(Buffer.alloc(0));
}

function codecWith(dictionary: Dictionary | undefined, maxValueBytes = 100_000): ValueCodec {
  const dictionaries: Dictionaries = {
    compress: (raw) => dictionary?.compress(raw),
    find: (id) => (id === dictionary?.id ? dictionary : undefined),
  };
  const compression = { thresholdBytes: 1024, codec: 'deflate', dictionary: true } as const;
  return new ValueCodec({ maxValueBytes, compression, dictionaries });
}

/** The bytes in Redis of values of a corpus that the dictionary was not made of. */
async function storedBytes(codec: ValueCodec, make: (index: number) => unknown): Promise<number> {
  let sum = 0;
  for (let index = 1000; index < 1200; index++) {
    const { bytes, rawBytes } = await codec.encode(make(index)).payload();
    sum += typeof bytes === 'string' ? rawBytes : bytes.length;
  }
  return sum;
}

async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('a dictionary', () => {
  let users: Dictionary;
  beforeAll(async () => {
    users = await trainedOn(bytesOf(userOf, 0, 200));
  });

  it.each([
    ['products', productOf, 0.5],
    ['rows of a table', userOf, 0.5],
    ['search results', (index: number) => searchOf(index, 2), 0.5],
    ['larger search results, which deflate alone shrinks to a third,', searchOf, 0.7],
  ])('of 200 %s makes others of their kind smaller', async (_kind, make, most) => {
    const dictionary = await trainedOn(bytesOf(make, 0, 200));
    const [plain, learned] = [codecWith(undefined), codecWith(dictionary)];
    expect(await storedBytes(learned, make)).toBeLessThan(most * (await storedBytes(plain, make)));
    expect(dictionary.bytes.length).toBeLessThanOrEqual(MAX_DICTIONARY_BYTES);
  });

  it('has nothing of what stands in one or two values alone', async () => {
    // In base64, no two of them have six characters in common; in hexadecimal chance alone would make some common.
    const secrets = Array.from({ length: 200 }, (_, index) => createHash('sha256').update(`${index}`).digest('base64'));
    const values = secrets.map((secret, index) =>
      Buffer.from(JSON.stringify({ ...userOf(index), secret, shared: secrets[index - (index % 2)] })),
    );
    const { bytes } = await trainedOn(values);
    for (const secret of secrets) {
      for (let at = 0; at + 6 <= secret.length; at++) {
        expect(bytes.includes(secret.slice(at, at + 6))).toBe(false);
      }
    }
  });

  it.each([
    ['have nothing in common', () => Buffer.from(JSON.stringify(Array.from({ length: 40 }, () => Math.random())))],
    ['are smaller than a piece', () => Buffer.from('abc')],
  ])('is not made of values that %s', async (_how, make) => {
    expect(await trainDictionary(Array.from({ length: 200 }, make))).toBeUndefined();
  });

  it('is made again only if the next one saves a tenth more', async () => {
    expect(await trainDictionary(bytesOf(userOf, 200, 200), users)).toBeUndefined();
    const products = await trainedOn(bytesOf(productOf, 0, 200), users);
    expect(products.id).not.toBe(users.id);
  });

  it('lets other work run while it is made', async () => {
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns++;
      if (!isOver) {
        setImmediate(count);
      }
    };
    setImmediate(count);
    await trainDictionary(bytesOf(searchOf, 0, 200));
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(20);
  });

  it('is known by its content', () => {
    expect(users.id).toMatch(/^[0-9a-f]{16}$/);
    expect(dictionaryOf(users.bytes, users.id)?.id).toBe(users.id);
    expect(dictionaryOf(Buffer.concat([users.bytes, Buffer.of(0)]), users.id)).toBeUndefined();
    const large = new Dictionary(Buffer.alloc(MAX_DICTIONARY_BYTES + 1));
    expect(dictionaryOf(large.bytes, large.id)).toBeUndefined();
  });

  it('compresses values from 128 bytes to 32 KiB, JSON, rich text and bytes, and no others', async () => {
    const codec = codecWith(new Dictionary(Buffer.from('abcdefgh'.repeat(20))));
    const compressorOf = async (value: unknown) => (await codec.encode(value).payload()).compressor;
    const textOf = (length: number) => 'abcdefgh'.repeat(5000).slice(0, length - 2);
    expect(await compressorOf(textOf(127))).toBe('none');
    expect(await compressorOf(textOf(128))).toBe('dictionary');
    expect(await compressorOf(textOf(32 * 1024 - 1))).toBe('dictionary');
    expect(await compressorOf(textOf(32 * 1024))).toBe('deflate');
    expect(await compressorOf(new Map([[1, textOf(200)]]))).toBe('dictionary');
    expect(await compressorOf(new BytesValue({}, Buffer.from(textOf(200))))).toBe('dictionary');
    expect(await compressorOf(new BytesValue({}, Buffer.from(textOf(200)), true))).toBe('none');
    expect(await compressorOf(new BytesValue({}, randomBytes(500)))).toBe('none');
  });

  it('reads a value through the bytes in Redis, and refuses it without the dictionary', async () => {
    const value = userOf(5000);
    const bytes = writeEnvelope(header, await codecWith(users).encode(value).payload());
    const { payload } = readEnvelope(bytes);
    expect(payload.compressor).toBe('dictionary');
    expect((await codecWith(users).decode(payload)).value).toEqual(value);
    const withoutOption = new ValueCodec({
      maxValueBytes: 100_000,
      compression: false,
      dictionaries: { compress: () => undefined, find: async () => users },
    });
    expect((await withoutOption.decode(payload)).value).toEqual(value);
    for (const codec of [codecWith(undefined), new ValueCodec({ maxValueBytes: 100_000, compression: false })]) {
      const failure = await failureOf(() => codec.decode(payload));
      expect(failure).toBeInstanceOf(CorruptEntryError);
      expect(String(failure)).toContain(users.id);
    }
  });

  it.each([
    ['more than it declares', 100],
    ['less than it declares', 50_000_000],
  ])('stops a bomb that unpacks to %s', async (_what, rawBytes) => {
    const bomb = deflateRawSync(Buffer.alloc(10_000_000, 'x'), { dictionary: users.bytes, level: 9 });
    const bytes = Buffer.concat([Buffer.from(users.id, 'hex'), bomb]);
    const payload = { serializer: 'json', compressor: 'dictionary', rawBytes, bytes } as const;
    const before = process.memoryUsage().arrayBuffers;
    expect(await failureOf(() => codecWith(users, 1_000_000).decode(payload))).toBeInstanceOf(CorruptEntryError);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2_000_000);
  });

  it('of another value, and damaged bytes, are refused, and nothing else happens', async () => {
    const { bytes, ...payload } = await codecWith(users).encode(userOf(5001)).payload();
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes as Buffer);
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      const failure = await failureOf(() => codecWith(users).decode({ ...payload, bytes: damaged }));
      expect(failure === undefined || failure instanceof CorruptEntryError).toBe(true);
    }
    const cut = await failureOf(() => codecWith(users).decode({ ...payload, bytes: Buffer.of(1, 2, 3) }));
    expect(cut).toBeInstanceOf(CorruptEntryError);
  });
});
