/* oxlint-disable unicorn/no-thenable -- an object with a `then` out of the cache is the attack */
import { describe, expect, it, vi } from 'vitest';
import type { AsyncCache } from '../../libs/distributed-cache/src/core/index.js';
import { cacheForTest } from '../support/cache-for-test.js';
import { proxyTo, redisForTest } from '../support/redis-for-test.js';
import { cacheManagerOf, keyvOf, storeOf } from './peers.js';
import { NAMESPACE, podsForTest } from './pods.js';

/** A value as the other program receives it, and as a JSON reader sees it. */
const JSON_VALUES: Record<string, [given: unknown, read: unknown]> = {
  object: [
    { a: 1, b: [null, 'x', ':colon', true, { c: 'é😀' }] },
    { a: 1, b: [null, 'x', ':colon', true, { c: 'é😀' }] },
  ],
  text: ['text', 'text'],
  colon: [':x', ':x'],
  looksEncoded: ['{"a":1}', '{"a":1}'],
  number: [5.5, 5.5],
  falsy: [
    [0, '', false, null],
    [0, '', false, null],
  ],
  wrapperInside: [{ list: [{ value: 5, expires: 1 }] }, { list: [{ value: 5, expires: 1 }] }],
};

describe('a value that another program has written under a key of the cache is read', () => {
  it('as plain JSON', async () => {
    const pods = podsForTest();
    for (const [key, [given, read]] of Object.entries(JSON_VALUES)) {
      await pods.redis.admin.set(pods.keyOf(key), JSON.stringify(given), 'PX', 60_000);
      expect(await pods.one.get(key)).toStrictEqual(read);
    }
    expect(await pods.two.getMany(['object', 'none', 'text'])).toStrictEqual([
      JSON_VALUES['object']?.[1],
      undefined,
      'text',
    ]);
    expect(pods.complaints).toEqual([]);
  });

  it('in the format of cache-manager-ioredis-yet', async () => {
    const pods = podsForTest();
    for (const [key, [given, read]] of Object.entries(JSON_VALUES)) {
      await storeOf(pods).set(pods.keyOf(key), given, 60_000);
      expect(await pods.one.get(key)).toStrictEqual(read);
    }
  });

  it.each(['keyv', 'cache-manager'])('in the format of %s, with and without a TTL, buffers included', async (peer) => {
    const pods = podsForTest();
    const keyv = peer === 'keyv' ? keyvOf(pods) : cacheManagerOf(pods);
    for (const [key, [given, read]] of Object.entries({
      ...JSON_VALUES,
      bytes: [Buffer.from([0, 255]), Buffer.from([0, 255])],
    })) {
      await keyv.set(key, given, 60_000);
      await keyv.set(`${key}-for-ever`, given);
      expect(await pods.one.get(key)).toStrictEqual(read);
      expect(await pods.one.get(`${key}-for-ever`)).toStrictEqual(read);
    }
    await keyv.set('undefined', undefined, 60_000);
    expect(await pods.one.lookup('undefined')).toEqual({ state: 'miss' });
    expect(pods.complaints).toEqual([]);
  });

  it('by getOrSet, which then runs no loader', async () => {
    const pods = podsForTest();
    await pods.redis.admin.set(pods.keyOf('a'), '[1]', 'PX', 60_000);
    expect(await pods.one.getOrSet('a', () => Promise.reject(new Error('not asked')))).toStrictEqual([1]);
  });
});

describe('several legacy values', () => {
  it('are read at once, more of them than the window of sent commands holds', async () => {
    const { redis, one, keyOf, complaints } = podsForTest();
    const keys = Array.from({ length: 4200 }, (_, index) => `many:${index}`);
    const writing = redis.admin.pipeline();
    keys.forEach((key, index) => writing.set(keyOf(key), String(index), 'PX', 60_000));
    await writing.exec();
    expect(await one.getMany(keys)).toStrictEqual(keys.map((_, index) => index));
    expect(complaints).toEqual([]);
  });

  it('cost a get, a getMany and a getOrSet no more than one deadline, for both round trips', async () => {
    const costsOneDeadline = async (ask: (cache: AsyncCache) => Promise<unknown>, answer: unknown): Promise<void> => {
      const redis = redisForTest();
      const proxy = await proxyTo(redis);
      const address = { host: proxy.host, port: proxy.port };
      const all = cacheForTest({ redis: address, keyPrefix: redis.keyPrefix, deadlineMs: 2500 });
      await all.connect();
      const cache = all.getCache(NAMESPACE);
      await redis.admin.set(`${redis.keyPrefix}:${NAMESPACE}:key`, '1', 'PX', 60_000);
      expect(await cache.get('no such key')).toBeUndefined();
      const errors: string[] = [];
      all.events.on('tierError', ({ error }) => errors.push(error.name));
      proxy.delay(1000); // each way: one round trip is in time, two are not, even with the extensions of a busy process
      expect(await ask(cache)).toEqual(answer);
      expect(errors).toContain('TierTimeoutError');
    };
    await Promise.all([
      costsOneDeadline((cache) => cache.get('key'), undefined),
      costsOneDeadline((cache) => cache.getMany(['key']), [undefined]),
      costsOneDeadline((cache) => cache.getOrSet('key', async () => 'loaded'), 'loaded'),
    ]);
  });
});

describe('the TTL of a legacy value', () => {
  it('is that of Redis, in L1 as well', async () => {
    const { redis, one, keyOf } = podsForTest();
    await redis.admin.set(keyOf('a'), '1', 'PX', 5_000);
    for (const tier of ['redis', 'local']) {
      const found = await one.lookup('a');
      expect(found).toMatchObject({ state: 'fresh', value: 1, tier });
      expect('ttlMs' in found && found.ttlMs > 3_000 && found.ttlMs <= 5_000).toBe(true);
    }
  });

  it("is the one that Keyv's `expires` gives by the clock of the Redis server, where that is shorter", async () => {
    const { redis, one, keyOf } = podsForTest();
    const [seconds] = await redis.admin.time();
    const nowMs = Number(seconds) * 1000;
    await redis.admin.set(keyOf('soon'), JSON.stringify({ value: 1, expires: nowMs + 9_000 }), 'PX', 60_000);
    await redis.admin.set(keyOf('over'), JSON.stringify({ value: 1, expires: nowMs - 1 }));
    await redis.admin.set(keyOf('none'), JSON.stringify({ value: 1, expires: null }), 'PX', 4_000);
    const ttlMsOf = async (key: string) => {
      const found = await one.lookup(key);
      return found.state === 'miss' ? undefined : found.ttlMs;
    };
    expect(await ttlMsOf('soon')).toBeLessThanOrEqual(9_000);
    expect(await ttlMsOf('soon')).toBeGreaterThan(5_000);
    expect(await ttlMsOf('over')).toBeUndefined();
    expect(await ttlMsOf('none')).toBeLessThanOrEqual(4_000);
  });

  it('is the TTL of the namespace where it has none of its own', async () => {
    const { redis, one, keyOf } = podsForTest({ ttl: '90s' });
    await redis.admin.set(keyOf('a'), '1');
    const found = await one.lookup('a');
    expect('ttlMs' in found && found.ttlMs > 80_000 && found.ttlMs <= 90_000).toBe(true);
  });
});

describe('a legacy value is not returned', () => {
  it('after delete, set or expire', async () => {
    const { redis, one, two, keyOf } = podsForTest();
    await redis.admin.mset(keyOf('a'), '1', keyOf('b'), '1', keyOf('c'), '1');
    expect(await one.delete('a')).toBe(true);
    await one.set('b', 2);
    expect(await one.expire('c')).toBe(true);
    expect(await two.getMany(['a', 'b', 'c'])).toEqual([undefined, 2, undefined]);
  });

  it('after expire in a namespace with grace, because it can not be kept as stale', async () => {
    const { redis, one, two, keyOf } = podsForTest({ grace: '1h' });
    await redis.admin.set(keyOf('a'), '1');
    expect(await one.expire('a')).toBe(true);
    expect(await two.lookup('a')).toEqual({ state: 'miss' });
  });

  it('after a clear, in any process, and no new one is read from then on', async () => {
    const { redis, one, two, keyOf } = podsForTest();
    await redis.admin.set(keyOf('a'), '1');
    expect(await two.get('a')).toBe(1);
    await one.clear();
    await redis.admin.set(keyOf('b'), '1');
    for (const pod of [one, two]) {
      await vi.waitFor(async () => expect(await pod.getMany(['a', 'b'])).toEqual([undefined, undefined]));
    }
    await one.set('a', 'ours');
    expect(await two.get('a')).toBe('ours');
  });

  it('after a clear whose stamp Redis has evicted', async () => {
    const { redis, one, keyOf } = podsForTest();
    await redis.admin.set(keyOf('a'), '1');
    await one.clear();
    await redis.admin.del(keyOf('#clear'));
    expect(await one.get('a')).toBeUndefined();
  });

  it('where the namespace has legacy: false', async () => {
    const { redis, one, keyOf, complaints } = podsForTest({ legacy: false });
    await redis.admin.set(keyOf('a'), '1');
    expect(await one.get('a')).toBeUndefined();
    expect(complaints).toEqual(["The stored entry can't be read: 1 bytes are too few"]);
  });
});

describe('a value that another program has written', () => {
  it.each([
    ['{"then":"_function_then|function(){ globalThis.owned = true }"}'],
    ['{"value":{"toJSON":"_function_toJSON|function(){ globalThis.owned = true }"}}'],
    ['"_function_f|function(){ globalThis.owned = true }"'],
    ['"_symbol_x"'],
    ['"_date_2020-01-01T00:00:00.000Z"'],
    ['{"_constructor-name_":"Buffer","x":1}'],
    ['{"a":{"then":"_function_then|(() => { globalThis.owned = true })()"}}'],
  ])('is neither evaluated nor given a type: %s', async (text) => {
    const { redis, one, keyOf } = podsForTest();
    await redis.admin.set(keyOf('a'), text);
    const parsed: unknown = JSON.parse(text);
    const inner = typeof parsed === 'object' && parsed !== null && 'value' in parsed ? parsed.value : parsed;
    const value = await one.get('a');
    expect(value).toStrictEqual(inner);
    expect(JSON.stringify(value)).toBe(JSON.stringify(inner));
    expect(globalThis).not.toHaveProperty('owned');
  });

  it('pollutes no prototype', async () => {
    const { redis, one, keyOf } = podsForTest();
    await redis.admin.set(keyOf('a'), '{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"b":1}');
    const value = await one.get('a');
    expect(value).not.toHaveProperty('admin');
    expect({}).not.toHaveProperty('admin');
    expect(Object.keys(Object(value))).toEqual(['constructor', 'b']);
  });

  it.each<[string, string | Buffer]>([
    ['no JSON', 'hello'],
    ['nothing', ''],
    ['bytes that are no text', Buffer.from([0x22, 0xff, 0x22])],
    ['JSON nested too deep', '['.repeat(1_000) + ']'.repeat(1_000)],
    ['a number and more', '1 2'],
    ["a reference of telejson's to something else", '[{"s":1},"_duplicate_[\\"v\\",\\"0\\"]"]'],
  ])('is a miss when it is %s, and the loader runs', async (_name, bytes) => {
    const { redis, one, keyOf, complaints } = podsForTest();
    await redis.admin.set(keyOf('a'), bytes);
    expect(await one.get('a')).toBeUndefined();
    expect(await one.getOrSet('a', () => 'loaded')).toBe('loaded');
    expect(complaints[0]).toMatch(/^The stored entry can't be read: (?!.*hello)/);
  });

  it('is not read outside the key prefix', async () => {
    const { redis, one } = podsForTest();
    await redis.admin.set(`${NAMESPACE}:a`, '1', 'PX', 10_000);
    await redis.admin.set('a', '1', 'PX', 10_000);
    expect(await one.get('a')).toBeUndefined();
  });
});
