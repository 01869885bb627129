/* oxlint-disable unicorn/no-thenable -- a thenable out of the cache is one of the attacks */
import { brotliCompressSync, deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { readEnvelope, writeEnvelope, type EncodedPayload } from '../../libs/distributed-cache/src/codec/index.js';
import { podsForTest, type Pods } from './pods.js';

/** An attacker with access to Redis: an entry with the stamp of the namespace and another payload. */
async function forge({ redis, one, keyOf }: Pods, payload: Partial<EncodedPayload>): Promise<void> {
  await one.set('a', 'genuine');
  const { header } = readEnvelope((await redis.admin.getBuffer(keyOf('a'))) ?? Buffer.alloc(0));
  const bytes = payload.bytes ?? Buffer.alloc(0);
  const forged = { serializer: 'json', compressor: 'none', rawBytes: bytes.length, bytes, ...payload } as const;
  await redis.admin.set(keyOf('a'), writeEnvelope(header, forged), 'PX', 60_000);
}

describe('code in data', () => {
  const texts: unknown[] = [
    { then: '_function_then|function(){ globalThis.owned = true }' },
    { toJSON: '_function_toJSON|function(){ globalThis.owned = true }', toString: '_function_x|()=>1' },
    '_function_f|(() => { globalThis.owned = true })()',
    ['["Function",1]', ['Function', 1], { Function: 'x' }],
    '_date_2020-01-01T00:00:00.000Z',
    '_symbol_x',
    '$$mdFnCode(function(){})',
  ];

  it.each(texts)('remains text in every tier (%#)', async (value) => {
    const { one, two } = podsForTest();
    await one.set('a', value);
    for (const pod of [one, two, two]) {
      const read = await pod.get('a');
      expect(read).toStrictEqual(value);
      expect(JSON.stringify(read)).toBe(JSON.stringify(value));
    }
    expect(globalThis).not.toHaveProperty('owned');
  });

  it('is refused where it can be called: the cache never returns a `then` that is a function', async () => {
    const { one, two, complaints } = podsForTest();
    expect(await one.set('a', { then: () => 1 })).toBe(false);
    expect(await two.get('a')).toBeUndefined();
    expect(complaints[0]).toContain('a function at value.then');
  });

  it('is not awaited: a `then` that is data remains data', async () => {
    const { one, two } = podsForTest();
    await one.set('a', { then: 'x', catch: { then: 1 } });
    expect(await two.getOrSet('a', () => 1)).toStrictEqual({ then: 'x', catch: { then: 1 } });
  });
});

describe('prototypes', () => {
  it.each([
    '{"a":{"__proto__":{"polluted":1}},"__proto__":{"polluted":1}}',
    '{"a":{"\\u005f_proto__":{"polluted":1}}}',
  ])('are not polluted by an entry (%s)', async (text) => {
    const pods = podsForTest();
    await forge(pods, { bytes: Buffer.from(text) });
    const read = Object(await pods.two.get('a'));
    expect(read.a).not.toHaveProperty('polluted');
    expect(read).not.toHaveProperty('polluted');
    expect(Object.assign({}, read)).not.toHaveProperty('polluted');
    expect({}).not.toHaveProperty('polluted');
  });

  it.each(['[{"__proto__":1},{"polluted":2},1]', '[["null","__proto__",1],1]', '[["constructor",1],"x"]'])(
    'are not reached by an entry in the rich notation (%s)',
    async (text) => {
      const pods = podsForTest();
      await forge(pods, { serializer: 'rich', bytes: Buffer.from(text) });
      const read = await pods.two.get('a');
      expect(Object.getPrototypeOf(Object(read ?? {}))).toBe(Object.prototype);
      expect(Object(read)).not.toHaveProperty('polluted');
      expect({}).not.toHaveProperty('polluted');
    },
  );

  it('are not polluted by a value that was parsed from a request', async () => {
    const { one, two } = podsForTest();
    await one.set('a', JSON.parse('{"__proto__":{"polluted":1},"b":{"__proto__":null}}'));
    for (const pod of [one, two]) {
      const read = await pod.get('a');
      expect(Object.getOwnPropertyNames(read)).toEqual(['b']);
      expect(read).not.toHaveProperty('polluted');
    }
  });
});

describe('an oversized value', () => {
  const zipped = { gzip: gzipSync, deflate: deflateRawSync, brotli: brotliCompressSync } as const;
  const zeros = Buffer.alloc(64 * 1024 * 1024);

  it.each(Object.keys(zipped) as (keyof typeof zipped)[])(
    'in few compressed bytes (%s) is a miss, in a short time and in little memory',
    async (compressor) => {
      const pods = podsForTest();
      const bytes = zipped[compressor](zeros);
      const rssBefore = process.memoryUsage().rss;
      for (const rawBytes of [10, 4 * 1024 * 1024, zeros.length]) {
        await forge(pods, { compressor, rawBytes, bytes });
        const startedAtMs = performance.now();
        expect(await pods.two.get('a')).toBeUndefined();
        expect(performance.now() - startedAtMs).toBeLessThan(1_000);
      }
      expect(process.memoryUsage().rss - rssBefore).toBeLessThan(64 * 1024 * 1024);
      expect(pods.complaints.length).toBeGreaterThanOrEqual(3);
    },
  );

  it('that is nested too deep is a miss when read and rejected when written', async () => {
    const pods = podsForTest();
    await forge(pods, { bytes: Buffer.from('['.repeat(10_000) + ']'.repeat(10_000)) });
    expect(await pods.two.get('a')).toBeUndefined();
    const nested = Array.from({ length: 10_000 }).reduce<unknown>((inner) => ({ inner }), 1);
    expect(await pods.one.set('b', nested)).toBe(false);
    expect(await pods.one.getOrSet('b', () => nested)).toBe(nested);
    expect(pods.complaints.some((reason) => reason.includes('too-deep'))).toBe(true);
  });

  it('is one beyond maxValueBytes, for values of other programs as well', async () => {
    const pods = podsForTest({}, { maxValueBytes: 1_000 });
    expect(await pods.one.set('a', 'x'.repeat(999))).toBe(false);
    await pods.redis.admin.set(pods.keyOf('b'), JSON.stringify('x'.repeat(5_000)));
    expect(await pods.one.get('b')).toBeUndefined();
  });
});

describe('a damaged entry', () => {
  it('is the right value or a miss for any flipped bit, and never an error', async () => {
    const { redis, one, two, keyOf } = podsForTest({}, { local: false });
    const value = { id: 1, at: new Date(0), text: 'compressible '.repeat(100) };
    await one.set('a', value);
    const genuine = (await redis.admin.getBuffer(keyOf('a'))) ?? Buffer.alloc(0);
    const damaged = Array.from({ length: genuine.length * 8 }, (_, bit) => {
      const bytes = Buffer.from(genuine);
      bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      return bytes;
    });
    await redis.admin.mset(damaged.flatMap((bytes, bit) => [keyOf(`bit${bit}`), bytes]));
    const read = await two.getMany(damaged.map((_, bit) => `bit${bit}`));
    expect(read.filter((found) => found !== undefined)).toEqual([]);
    expect(await two.get('a')).toStrictEqual(value);
  });

  it('makes getOrSet load, and is replaced', async () => {
    const pods = podsForTest();
    await forge(pods, { bytes: Buffer.from('{"cut') });
    expect(await pods.two.getOrSet('a', () => 'loaded')).toBe('loaded');
    await vi.waitFor(async () => expect(await pods.one.get('a')).toBe('loaded'));
  });
});
