import { createCache, type Cache } from 'cache-manager';
import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../../test/support/cache-for-test.js';
import { freePort } from '../../../../../test/support/free-port.js';
import { redisForTest } from '../../../../../test/support/redis-for-test.js';
import { createCacheManager, withCacheManagerDefaults } from './index.js';

/** What cache-manager itself does in memory, and ours, must pass the same promises. */
const makers: readonly (readonly [name: string, make: () => Promise<Cache>])[] = [
  ['cache-manager alone', async () => createCache({ ttl: 60_000 })],
  ['our tiers without Redis', async () => createCacheManager(cacheForTest(withCacheManagerDefaults({ redis: false })))],
  [
    'our tiers over Redis',
    async () => {
      const { url, keyPrefix } = redisForTest();
      return createCacheManager(cacheForTest(withCacheManagerDefaults({ redis: { url }, keyPrefix })));
    },
  ],
  [
    'Redis alone, without the local tier',
    async () => {
      const { url, keyPrefix } = redisForTest();
      return createCacheManager(cacheForTest(withCacheManagerDefaults({ redis: { url }, keyPrefix, local: false })));
    },
  ],
  [
    'our tiers while Redis is refused',
    async () => {
      const redis = { host: '127.0.0.1', port: await freePort() };
      // Without this the life of an entry ends with the fallback's TTL, as create-cache-manager.spec.ts shows.
      const fallback = { ttl: '3650d' } as const;
      return createCacheManager(cacheForTest(withCacheManagerDefaults({ redis, fallback })));
    },
  ],
];

/** Enough for a busy machine, far less than the TTLs that are told apart. */
const TOLERANCE_MS = 10_000;

describe.each(makers)('a cache-manager Cache: %s', (_name, make) => {
  it('set returns the value, get returns the stored value, and a miss is undefined', async () => {
    const cache = await make();
    const value = { name: 'Ada', tags: ['a'] };
    expect(await cache.set('user:1', value)).toBe(value);
    expect(await cache.get('user:1')).toEqual(value);
    expect(await cache.get('user:2')).toBeUndefined();
  });

  it.each([[0], [''], [false], [null]])('keeps %s', async (value) => {
    const cache = await make();
    const load = vi.fn<() => unknown>(() => value);
    expect(await cache.wrap('key', load)).toBe(value);
    expect(await cache.wrap('key', load)).toBe(value);
    expect(load).toHaveBeenCalledTimes(1);
    expect(await cache.get('key')).toBe(value);
    expect(await cache.mget(['key'])).toEqual([value]);
  });

  it('treats undefined as absent', async () => {
    const cache = await make();
    const load = vi.fn<() => undefined>(() => undefined);
    await cache.wrap('key', load);
    await cache.wrap('key', load);
    expect(load).toHaveBeenCalledTimes(2);
    expect(await cache.get('key')).toBeUndefined();
  });

  it('keeps keys of any shape apart', async () => {
    const cache = await make();
    const keys = ['a:b', 'a', '{a}', '#a', 'ä€😀', 'a b\n', '%7Ba%7D', 'long'.repeat(500), '__proto__'];
    await cache.mset(keys.map((key) => ({ key, value: `value of ${key}` })));
    expect(await cache.mget(keys)).toEqual(keys.map((key) => `value of ${key}`));
  });

  it('mset stores a list, the last of equal keys; mget returns values in the order of the keys', async () => {
    const cache = await make();
    const list = [
      { key: 'a', value: 1 },
      { key: 'b', value: 2, ttl: 5000 },
      { key: 'a', value: 3, ttl: 0 },
      { key: 'gone', value: 4, ttl: -1 },
    ];
    expect(await cache.mset(list)).toMatchObject([{ key: 'a' }, { key: 'b' }, { key: 'a' }, { key: 'gone' }]);
    expect(await cache.mget(['b', 'missing', 'a', 'b', 'gone'])).toEqual([2, undefined, 3, 2, undefined]);
    expect(await cache.mget([])).toEqual([]);
  });

  it('del and mdel delete, and return true for keys that never existed', async () => {
    const cache = await make();
    await cache.mset([
      { key: 'a', value: 1 },
      { key: 'b', value: 2 },
      { key: 'c', value: 3 },
    ]);
    expect(await cache.del('a')).toBe(true);
    expect(await cache.del('a')).toBe(true);
    expect(await cache.mdel(['b', 'missing'])).toBe(true);
    expect(await cache.mget(['a', 'b', 'c'])).toEqual([undefined, undefined, 3]);
  });

  it('clear removes everything', async () => {
    const cache = await make();
    await cache.set('a', 1);
    expect(await cache.clear()).toBe(true);
    expect(await cache.get('a')).toBeUndefined();
    await cache.set('a', 2);
    expect(await cache.get('a')).toBe(2);
  });

  it('ttl returns the time of expiry in milliseconds since 1970, or undefined without one', async () => {
    const cache = await make();
    await cache.set('minute', 1);
    await cache.set('second', 1, 30_000.5);
    await cache.set('forever', 1, 0);
    const now = Date.now();
    expect(Math.abs(Number(await cache.ttl('minute')) - now - 60_000)).toBeLessThan(3_600_000);
    expect(Math.abs(Number(await cache.ttl('second')) - now - 30_000)).toBeLessThan(TOLERANCE_MS);
    expect(await cache.ttl('forever')).toBeUndefined();
    expect(await cache.ttl('missing')).toBeUndefined();
  });

  it('drops an entry that is set with a past TTL, and the previous one', async () => {
    const cache = await make();
    await cache.set('a', 1);
    await cache.set('a', 2, -1000);
    expect(await cache.get('a')).toBeUndefined();
  });

  it('wrap shares one run among concurrent callers and keeps its result', async () => {
    const cache = await make();
    const load = vi.fn<() => Promise<string>>(async () => 'Ada');
    const answers = await Promise.all(Array.from({ length: 20 }, () => cache.wrap('user:1', load, 5000)));
    expect(answers).toEqual(Array.from({ length: 20 }, () => 'Ada'));
    await cache.wrap('user:1', load, 5000);
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('wrap rejects with the error of the function, the same object, and keeps nothing', async () => {
    const cache = await make();
    const failure = new Error('no luck');
    await expect(
      cache.wrap('user:1', () => {
        throw failure;
      }),
    ).rejects.toBe(failure);
    expect(await cache.wrap('user:1', () => 'Ada')).toBe('Ada');
  });

  it('wrap accepts a TTL that depends on the value, and returns value and expiry with raw', async () => {
    const cache = await make();
    const ttl = (value: number) => value * 1000;
    const first = await cache.wrap('key', () => 30, { ttl, raw: true });
    const second = await cache.wrap('key', () => 40, { ttl, raw: true });
    for (const answer of [first, second]) {
      expect(answer).toEqual({ value: 30, expires: expect.any(Number) });
      expect(Math.abs(Number(answer?.expires) - Date.now() - 30_000)).toBeLessThan(TOLERANCE_MS);
    }
  });

  it('wrap refreshes in the background below the threshold', async () => {
    const cache = await make();
    const refreshed = new Promise<unknown>((resolve) => cache.on('refresh', resolve));
    await cache.wrap('key', () => 'old', 60_000, 3_600_000);
    expect(await cache.wrap('key', () => 'new', 60_000, 3_600_000)).toBe('old');
    expect(await refreshed).toEqual({ key: 'key', value: 'new' });
    expect(await cache.get('key')).toBe('new');
  });

  it('emits get, mget, set, mset, del and clear, until a listener is removed', async () => {
    const cache = await make();
    const told: unknown[] = [];
    const onGet = (event: unknown) => told.push(['get', event]);
    cache.on('get', onGet);
    cache.on('mget', (event) => told.push(['mget', event]));
    cache.on('set', (event) => told.push(['set', event]));
    cache.on('del', (event) => told.push(['del', event]));
    cache.on('clear', () => told.push(['clear']));
    await cache.set('a', 1);
    await cache.get('a');
    await cache.mget(['a', 'b']);
    await cache.del('a');
    await cache.clear();
    cache.off('get', onGet);
    await cache.get('a');
    expect(told).toEqual([
      ['set', { key: 'a', value: 1, store: 'primary' }],
      ['set', { key: 'a', value: 1 }],
      ['get', { key: 'a', value: 1, store: 'primary' }],
      ['mget', { keys: ['a', 'b'], values: [1, undefined] }],
      ['del', { key: 'a' }],
      ['clear'],
    ]);
  });

  it('offers its one Keyv store', async () => {
    const cache = await make();
    expect(cache.stores).toHaveLength(1);
    const [store] = cache.stores;
    await store?.set('a', { deep: 1 }, 30_000);
    expect(await cache.get('a')).toEqual({ deep: 1 });
    expect(await store?.has('a')).toBe(true);
    expect(await store?.has('b')).toBe(false);
    expect(await store?.getRaw('a')).toEqual({ value: { deep: 1 }, expires: expect.any(Number) });
    expect(await store?.getMany(['a', 'b'])).toEqual([{ deep: 1 }, undefined]);
    expect(await store?.delete('a')).toBe(true);
    expect(await store?.delete('a')).toBe(false);
    await store?.set('a', 1);
    expect(await store?.deleteMany(['a', 'b'])).toBe(false);
    expect(await store?.get('a')).toBeUndefined();
  });
});
