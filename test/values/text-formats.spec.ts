import { describe, expect, it, vi } from 'vitest';
import { cacheManagerOf, keyvOf, storeOf } from './peers.js';
import { podsForTest } from './pods.js';

const VALUES: Record<string, unknown> = {
  object: { a: 1, b: [null, 'x', ':colon', true, { c: 'é😀' }], d: '' },
  text: ':text',
  number: 5.5,
  list: [{ value: 5 }, { value: 1, expires: 1e13 }],
  wrapper: { value: 5 },
};

describe("format 'json'", () => {
  it('writes plain JSON text with a TTL, which any reader and cache-manager-ioredis-yet can read', async () => {
    const pods = podsForTest({ format: 'json', ttl: '1m', grace: '1h' });
    for (const [key, value] of Object.entries(VALUES)) {
      expect(await pods.one.set(key, value)).toBe(true);
      expect(await pods.redis.admin.get(pods.keyOf(key))).toBe(JSON.stringify(value));
      expect(await storeOf(pods).get(pods.keyOf(key))).toStrictEqual(value);
      const ttlMs = await pods.redis.admin.pttl(pods.keyOf(key));
      expect(ttlMs > 50_000 && ttlMs <= 60_000).toBe(true);
      expect(await pods.two.get(key)).toStrictEqual(value);
    }
    expect(pods.complaints).toEqual([]);
  });

  it('writes the result of a loader in the same way', async () => {
    const { redis, one, two, keyOf } = podsForTest({ format: 'json' });
    expect(await one.getOrSet('a', () => ({ b: 1 }))).toEqual({ b: 1 });
    await vi.waitFor(async () => expect(await redis.admin.get(keyOf('a'))).toBe('{"b":1}'));
    expect(await two.getOrSet('a', () => Promise.reject(new Error('not asked')))).toEqual({ b: 1 });
  });

  it('returns the same value from every tier where JSON changes the given one', async () => {
    const { one, two, complaints } = podsForTest({ format: 'json' });
    const given = { at: new Date(0), nan: NaN, hole: [undefined, -0], gone: undefined, bytes: Buffer.from('hi') };
    const kept = {
      at: '1970-01-01T00:00:00.000Z',
      nan: null,
      hole: [null, 0],
      bytes: { type: 'Buffer', data: [104, 105] },
    };
    await one.setMany([
      ['a', given],
      ['undefined', undefined],
    ]);
    for (const pod of [one, two]) {
      expect(await pod.get('a')).toStrictEqual(kept);
      expect(await pod.lookup('undefined')).toMatchObject({ state: 'fresh', value: null });
    }
    expect(complaints).toEqual([]);
  });

  it.each<[string, unknown, RegExp]>([
    ['a Map', { a: new Map([[1, 2]]) }, /a Map in plain JSON/],
    ['a bigint', [1n], /a bigint in plain JSON/],
    ['an error', new Error('x'), /an Error in plain JSON/],
    ['a typed array', [new Uint8Array(2)], /Uint8Array in plain JSON/],
    ['a cycle', (() => { const a: unknown[] = []; a.push(a); return a; })(), /unserializable/], // prettier-ignore
    ['a value that looks like an entry of Keyv', { value: 1, expires: 1e12 }, /an entry of Keyv/],
    ['a value that looks like an encoded entry of Keyv', '{"value":1}', /an entry of Keyv/],
    ['a function', { a: () => 1 }, /a function at value.a/],
  ])('rejects %s, which JSON would lose or readers would misinterpret', async (_name, value, reason) => {
    const { redis, one, complaints, keyOf } = podsForTest({ format: 'json' });
    expect(await one.set('a', value)).toBe(false);
    expect(complaints.join()).toMatch(reason);
    expect(await redis.admin.exists(keyOf('a'))).toBe(0);
  });
});

describe.each(['keyv', 'cache-manager'] as const)("format '%s'", (format) => {
  it('can be read by the program of that name, which also sees the expiry', async () => {
    const pods = podsForTest({ format, ttl: '1m' });
    const keyv = format === 'keyv' ? keyvOf(pods) : cacheManagerOf(pods);
    for (const [key, value] of Object.entries({ ...VALUES, bytes: Buffer.from([0, 255]) })) {
      expect(await pods.one.set(key, value)).toBe(true);
      expect(await keyv.get(key)).toStrictEqual(value);
      expect(await pods.two.get(key)).toStrictEqual(value);
    }
    const parsed: unknown = JSON.parse((await pods.redis.admin.get(pods.keyOf('number'))) ?? '');
    const { value, expires } = Object(typeof parsed === 'string' ? JSON.parse(parsed) : parsed);
    expect(value).toBe(5.5);
    expect(expires - Date.now() > 50_000 && expires - Date.now() <= 61_000).toBe(true);
  });
});

describe.each(['json', 'keyv', 'cache-manager'] as const)('an entry as text (%s)', (format) => {
  it('is a miss after each of several clears, and a hit after each set', async () => {
    const { one, two } = podsForTest({ format });
    for (const round of [1, 2, 3]) {
      await one.set('a', round);
      expect(await two.get('a')).toBe(round);
      await two.clear();
      await vi.waitFor(async () => expect(await one.get('a')).toBeUndefined());
      expect(await two.get('a')).toBeUndefined();
    }
  });

  it('that has lost its sidecar to eviction is a miss after a clear of the namespace', async () => {
    const { redis, one, two, keyOf } = podsForTest({ format });
    await one.clear();
    await one.set('a', 1);
    await redis.admin.del(`${redis.keyPrefix}:{${keyOf('a')}}:about`);
    expect(await two.get('a')).toBeUndefined();
  });

  it('that does not match its sidecar is a miss after a clear of the namespace', async () => {
    const { redis, one, two, keyOf } = podsForTest({ format });
    await one.clear();
    await one.set('a', { a: 1 });
    await redis.admin.set(keyOf('a'), '{"a":2}');
    expect(await two.get('a')).toBeUndefined();
  });

  it('is dropped in every process when another program changes it', async () => {
    const pods = podsForTest({ format });
    await pods.one.set('a', 1);
    if (format === 'json') {
      await storeOf(pods).set(pods.keyOf('a'), 2, 60_000);
    } else {
      await (format === 'keyv' ? keyvOf(pods) : cacheManagerOf(pods)).set('a', 2, 60_000);
    }
    await vi.waitFor(async () => expect(await pods.one.get('a')).toBe(2));
    expect(await pods.two.get('a')).toBe(2);
  });

  it('is rejected if it has tags, because other readers would not see their invalidation', async () => {
    const { one, two, complaints } = podsForTest({ format });
    expect(await one.getOrSet('a', () => 1, { tags: ['t'] })).toBe(1);
    expect(await one.set('b', 1, { tags: ['t'] })).toBe(false);
    expect(complaints).toHaveLength(2);
    expect(complaints[0]).toContain('carries no tags');
    expect(await two.getMany(['a', 'b'])).toEqual([undefined, undefined]);
  });

  it('is deleted by expire, in a namespace with grace as well', async () => {
    const { redis, one, two, keyOf } = podsForTest({ format, grace: '1h' });
    await one.set('a', 1);
    expect(await one.expire('a')).toBe(true);
    expect(await two.lookup('a')).toEqual({ state: 'miss' });
    expect(await redis.admin.exists(keyOf('a'))).toBe(0);
  });

  it('and an envelope replace each other during a rollout', async () => {
    const text = podsForTest({ format });
    const { url, keyPrefix } = text.redis;
    const envelope = podsForTest({}, { redis: { url }, keyPrefix });
    await text.one.set('a', { a: 1 });
    expect(await envelope.two.get('a')).toEqual({ a: 1 });
    await envelope.one.set('a', { a: 2 });
    expect(await text.two.get('a')).toEqual({ a: 2 });
    await envelope.one.clear();
    expect(await text.two.get('a')).toBeUndefined();
  });
});
