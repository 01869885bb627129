import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { heldLoad } from '../../../../test/support/gate.js';
import { redisForTest, sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions } from '../config/index.js';
import { Binding, createDistributedCache, type DistributedCache } from './distributed-cache.js';

/** Runs the same tests over Redis and over L1 alone. */
const setups: readonly (readonly [name: string, options: () => DistributedCacheOptions])[] = [
  ['with Redis', () => sharedRedis()],
  ['on L1 alone', () => ({ redis: false })],
];

describe.each(setups)('AsyncCache %s', (_name, options) => {
  it('returns the value that was set', async () => {
    const cache = cacheForTest(options()).getCache<{ name: string }>('users');
    expect(await cache.set('user:1', { name: 'Ada' })).toBe(true);
    expect(await cache.get('user:1')).toEqual({ name: 'Ada' });
    expect(await cache.has('user:1')).toBe(true);
    expect(await cache.has('user:2')).toBe(false);
  });

  it.each([[null], [undefined], [0], [''], [false]])('caches %s with its type', async (value) => {
    const cache = cacheForTest(options()).getCache('users');
    const load = vi.fn(async () => value);
    expect(await cache.getOrSet('key', load)).toBe(value);
    expect(await cache.getOrSet('key', load)).toBe(value);
    expect(load).toHaveBeenCalledTimes(1);
    expect(await cache.lookup('key')).toMatchObject({ state: 'fresh', value });
  });

  it.each([null, 0, -1, 'soon', NaN])('rejects a TTL of %j and stores nothing', async (ttl) => {
    const cache = cacheForTest(options()).getCache('users');
    const setting: Promise<boolean> = cache.set('key', 1, ttl as number); // it rejects and never throws
    await expect(setting).rejects.toThrow(/duration|ttl/i);
    await expect(cache.setMany([['key', 1]], ttl as number)).rejects.toThrow(/duration|ttl/i);
    expect(await cache.get('key')).toBeUndefined();
  });

  it('deletes a key and returns whether it existed', async () => {
    const cache = cacheForTest(options()).getCache('users');
    await cache.set('key', 1);
    expect(await cache.delete('key')).toBe(true);
    expect(await cache.delete('key')).toBe(false);
    expect(await cache.get('key')).toBeUndefined();
  });

  it('does not keep the result of a load that a deletion in this process has superseded', async () => {
    const cache = cacheForTest(options()).getCache('users');
    const { answer, release } = await heldLoad(cache, 'old');
    await cache.delete('key');
    const second = cache.getOrSet('key', () => 'new');
    release();
    expect(await answer).toBe('old');
    expect(await second).toBe('new');
    expect(await cache.get('key')).toBe('new');
  });

  it('keeps the value of a set that began while a load was running', async () => {
    const cache = cacheForTest(options()).getCache('users');
    const { answer, release } = await heldLoad(cache, 'loaded');
    await cache.set('key', 'set');
    release();
    expect(await answer).toBe('loaded');
    expect(await cache.get('key')).toBe('set');
  });

  it('reads and writes many keys at once, in order, with duplicates', async () => {
    const cache = cacheForTest(options()).getCache<number>('numbers');
    expect(
      await cache.setMany([
        ['a', 1],
        ['b', 2],
      ]),
    ).toBe(true);
    expect(await cache.getMany(['b', 'x', 'a', 'b'])).toEqual([2, undefined, 1, 2]);
    expect(await cache.deleteMany(['a', 'b', 'x'])).toBe(2);
    expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined]);
  });

  it('clears its own namespace and no other', async () => {
    const all = cacheForTest(options());
    const [users, orders] = [all.getCache('users'), all.getCache('orders')];
    await users.set('key', 'user');
    await orders.set('key', 'order');
    await users.clear();
    expect(await users.get('key')).toBeUndefined();
    expect(await orders.get('key')).toBe('order');
    await users.set('key', 'again');
    expect(await users.get('key')).toBe('again');
  });

  it.each([
    ['a small value', 1],
    ['a value that L1 keeps as text', 1000],
    ['a large value, which is compressed in the background', 20_000],
  ])('stores no change that a caller makes to a value after `set`: %s', async (_size, length) => {
    const cache = cacheForTest(options()).getCache<{ list: number[] }>('users');
    const value = { list: Array.from({ length }, (_, index) => index) };
    const setting = cache.set('key', value);
    value.list.push(-1);
    expect(await setting).toBe(true);
    expect((await cache.get('key'))?.list).toHaveLength(length);
  });

  it('in mode frozen returns frozen values, and copies of values that cannot be frozen', async () => {
    const all = cacheForTest({ ...options(), local: { values: 'frozen' } });
    const cache = all.getCache<{ list: number[] } | { when: Date }>('users');
    await cache.set('plain', { list: [1] });
    const plain = (await cache.get('plain')) as { list: number[] };
    expect(() => plain.list.push(2)).toThrow(TypeError);
    await cache.set('dated', { when: new Date(0) });
    const dated = (await cache.get('dated')) as { when: Date };
    dated.when.setFullYear(1999);
    expect(await cache.get('dated')).toEqual({ when: new Date(0) });
  });

  it('gives each caller a cloned value of its own', async () => {
    const all = cacheForTest(options());
    const cache = all.getCache<{ list: number[] }>('users');
    const [first, second] = await Promise.all([
      cache.getOrSet('key', () => ({ list: [1] })),
      cache.getOrSet('key', () => ({ list: [1] })),
    ]);
    first.list.push(2);
    expect(second).toEqual({ list: [1] });
    expect(await cache.get('key')).toEqual({ list: [1] });
  });

  it('does not cache a value that cannot be stored, and reports it', async () => {
    const all = cacheForTest(options());
    const refused = vi.fn();
    all.events.on('valueRefused', refused);
    const cache = all.getCache('users');
    const value = { call: () => 1 };
    expect(await cache.getOrSet('key', () => value)).toBe(value);
    expect(await cache.lookup('key')).toEqual({ state: 'miss' });
    expect(refused).toHaveBeenCalledTimes(1);
  });

  it('lets a loader destructure its context', async () => {
    const cache = cacheForTest({ redis: false }).getCache<number>('users');
    await cache.getOrSet('skipped', ({ skip }) => {
      skip();
      return 1;
    });
    await cache.getOrSet('kept', ({ setTtl, addTags, signal }) => {
      setTtl('5m');
      addTags('team');
      return signal.aborted ? 0 : 1;
    });
    expect(await cache.getMany(['skipped', 'kept'])).toEqual([undefined, 1]);
    await cache.invalidateTags('team');
    expect(await cache.get('kept')).toBeUndefined();
  });

  it('does not cache a value that the loader or cacheIf declines', async () => {
    const cache = cacheForTest(options()).getCache<number>('users');
    await cache.getOrSet('skipped', (context) => {
      context.skip();
      return 1;
    });
    await cache.getOrSet('declined', () => 1, { cacheIf: (value) => value > 1 });
    expect(await cache.getMany(['skipped', 'declined'])).toEqual([undefined, undefined]);
  });

  it('counts hits by tier, misses, sets, deletes and loads', async () => {
    const cache = cacheForTest(options()).getCache('users');
    await cache.getOrSet('a', () => 1);
    await cache.getOrSet('a', () => 1);
    await cache.get('b');
    await cache.delete('a');
    await cache.getOrSet('c', () => Promise.reject(new Error('no'))).catch(() => {});
    expect(cache.getMetrics()).toMatchObject({
      namespace: 'users',
      hits: 1,
      localHits: 1,
      misses: 3, // also the lookup whose load failed
      sets: 1,
      deletes: 1,
      errors: 0,
      loads: 2,
      loadErrors: 1,
      totalRequests: 4,
      hitRatePercent: 25,
    });
  });

  it('rejects a key that is not valid', async () => {
    const cache = cacheForTest(options()).getCache('users');
    await expect(cache.get('')).rejects.toThrow('must not be empty');
    await expect(cache.set('\ud800', 1)).rejects.toThrow('well-formed');
  });
});

describe('two processes over one Redis', () => {
  it('returns a value that another process loaded, with the rest of its TTL', async () => {
    const options = sharedRedis();
    const [podA, podB] = [cacheForTest(options).getCache('users'), cacheForTest(options).getCache('users')];
    await podA.getOrSet('user:1', () => ({ name: 'Ada' }), { ttl: '10s' });
    const load = vi.fn(() => ({ name: 'never asked' }));
    expect(await podB.getOrSet('user:1', load)).toEqual({ name: 'Ada' });
    expect(load).not.toHaveBeenCalled();
    // The message about the fill may still arrive and drop the entry of L1 once.
    const found = await vi.waitFor(async () => {
      const lookup = await podB.lookup('user:1');
      expect(lookup).toMatchObject({ state: 'fresh', tier: 'local' });
      return lookup;
    });
    expect(found.state === 'miss' ? 0 : found.ttlMs).toBeLessThanOrEqual(10_000);
  });

  it('treats an entry as a miss when the stamp of its namespace is missing', async () => {
    const options = sharedRedis();
    const { admin } = redisForTest();
    await cacheForTest(options).getCache('users').set('user:1', 'Ada');
    await admin.del(`${options.keyPrefix}:users:#clear`);
    expect(await cacheForTest(options).getCache('users').get('user:1')).toBeUndefined();
  });

  it('treats bytes that it cannot read as a miss, counts them and replaces them', async () => {
    const options = sharedRedis();
    const { admin } = redisForTest();
    const cache = cacheForTest(options).getCache('users');
    await cache.set('other', 1);
    await admin.set(`${options.keyPrefix}:users:key`, 'not an envelope');
    expect(await cache.getOrSet('key', () => 'loaded')).toBe('loaded');
    expect(await cacheForTest(options).getCache('users').get('key')).toBe('loaded');
    expect(cache.getMetrics().errors).toBe(1);
  });
});

it('creates a binding once for each cache, and keeps bindings apart', async () => {
  const caches = await Promise.all([
    createDistributedCache({ redis: false }),
    createDistributedCache({ redis: false }),
  ]);
  const make = vi.fn((cache: DistributedCache) => ({ cache }));
  const bindings = [new Binding(make), new Binding(make)];
  const bound = caches.map((cache) => bindings.map((binding) => cache.bound(binding)));
  expect(bound.map((ofCache) => ofCache.map(({ cache }) => caches.indexOf(cache)))).toEqual([
    [0, 0],
    [1, 1],
  ]);
  expect(new Set(bound.flat()).size).toBe(4);
  expect(caches.map((cache) => bindings.map((binding) => cache.bound(binding)))).toEqual(bound);
  expect(make).toHaveBeenCalledTimes(4);
  await Promise.all(caches.map((cache) => cache.close()));
});
