import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../../test/support/cache-for-test.js';
import { freePort } from '../../../../../test/support/free-port.js';
import { ownRedis, redisForTest } from '../../../../../test/support/redis-for-test.js';
import { CacheConfig, type DistributedCacheOptions } from '../../core/index.js';
import { FakeClock } from '../../testing/fake-clock.js';
import { CACHE_MANAGER_NAMESPACE, createCacheManager, withCacheManagerDefaults } from './index.js';

const TEN_YEARS_MS = 3650 * 86_400_000;

/** One process: its own L1, the shared Redis. */
function processOver(options: DistributedCacheOptions) {
  const tiers = cacheForTest(withCacheManagerDefaults(options));
  return { tiers, cache: createCacheManager(tiers) };
}

function redisOptions() {
  const { url, keyPrefix, admin } = redisForTest();
  return { options: { redis: { url }, keyPrefix }, keyPrefix, admin };
}

describe('createCacheManager over Redis', () => {
  it('returns values of the stored types to another process', async () => {
    const { options } = redisOptions();
    const value = {
      at: new Date(0),
      counts: new Map([['a', 1n]]),
      bytes: Buffer.from([1, 2]),
      ids: new Set([1]),
      nothing: undefined,
      not: Number.NaN,
    };
    await processOver(options).cache.set('mixed', value);
    const { cache } = processOver(options);
    const read = await cache.get<typeof value>('mixed');
    expect(read).toEqual(value);
    expect(Buffer.isBuffer(read?.bytes)).toBe(true);
    expect(await cache.mget(['mixed'])).toEqual([value]);
  });

  it('stores the value itself, once encoded, under a key of its namespace', async () => {
    const { options, keyPrefix, admin } = redisOptions();
    const { cache, tiers } = processOver(options);
    await cache.set('user:1', 'Ada');
    const stored = await admin.getBuffer(`${keyPrefix}:cache-manager:user:1`);
    expect(stored?.[0]).toBe(0xdc);
    expect(stored?.toString('latin1')).not.toContain('expires');
    expect(await tiers.getCache(CACHE_MANAGER_NAMESPACE).get('user:1')).toBe('Ada');
  });

  it('keeps an entry without expiry for ten years, and any other for its milliseconds', async () => {
    const { options, keyPrefix, admin } = redisOptions();
    const { cache } = processOver(options);
    const ttls = { none: 0, minute: 60_000, most: Number.MAX_VALUE, least: 0.001 };
    await cache.mset(Object.entries(ttls).map(([key, ttl]) => ({ key, value: 1, ttl })));
    const lifeMs = (key: string) => admin.pttl(`${keyPrefix}:cache-manager:${key}`);
    const hourMs = 3_600_000;
    expect(await lifeMs('none')).toBeGreaterThan(TEN_YEARS_MS - hourMs);
    expect(await lifeMs('most')).toBeGreaterThan(TEN_YEARS_MS - hourMs);
    expect(await lifeMs('minute')).toBeLessThanOrEqual(60_000);
    expect(await lifeMs('least')).toBeLessThanOrEqual(1);
    expect(await processOver(options).cache.ttl('none')).toBeUndefined();
  });

  it('clear removes its namespace in Redis too, and nothing else', async () => {
    const { options, keyPrefix, admin } = redisOptions();
    const first = processOver(options);
    await first.cache.set('a', 1);
    await first.tiers.getCache('users').set('a', 2);
    await admin.set(`${keyPrefix}-other:a`, 'of another program', 'PX', 60_000);
    await first.cache.clear();
    const second = processOver(options);
    expect(await second.cache.get('a')).toBeUndefined();
    expect(await second.tiers.getCache('users').get('a')).toBe(2);
    expect(await admin.get(`${keyPrefix}-other:a`)).toBe('of another program');
  });

  it('reads an unreadable entry as one miss, not as a miss of all', async () => {
    const { options, keyPrefix, admin } = redisOptions();
    await processOver(options).cache.set('good', 1);
    await admin.set(`${keyPrefix}:cache-manager:bad`, Buffer.from([0xdc, 99, 1, 2, 3]), 'PX', 60_000);
    const { cache } = processOver(options);
    expect(await cache.mget(['good', 'bad'])).toEqual([1, undefined]);
    expect(await cache.get('bad')).toBeUndefined();
  });

  it('goes on serving when Redis dies, and emits the error to the listeners of its store', async () => {
    const server = await ownRedis();
    const { cache, tiers } = processOver({ redis: { url: server.url } });
    const errors: unknown[] = [];
    cache.stores[0]?.on('error', (error: unknown) => errors.push(error));
    await cache.set('before', 1);
    // The server refuses this write: an error that concerns one call.
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    await cache.set('refused', 2);
    expect(errors).toEqual([expect.any(Error)]);
    await tiers.getCache('another').set('refused', 2);
    expect(errors).toHaveLength(1);
    await server.killHard();
    expect(await cache.get('before')).toBe(1);
    expect(await cache.set('during', { a: 1 })).toEqual({ a: 1 });
    expect(await cache.get('during')).toEqual({ a: 1 });
    expect(await cache.wrap('wrapped', () => 3)).toBe(3);
    expect(await cache.mget(['during', 'wrapped', 'missing'])).toEqual([{ a: 1 }, 3, undefined]);
    expect(await cache.del('during')).toBe(true);
    expect(await cache.clear()).toBe(true);
    expect(await cache.get('before')).toBeUndefined();
  });
});

describe('createCacheManager while Redis is refused', () => {
  it('serves an entry for the TTL of the fallback at most, and reports that expiry', async () => {
    const clock = new FakeClock();
    const redis = { host: '127.0.0.1', port: await freePort() };
    const cache = createCacheManager(cacheForTest({ redis, fallback: { ttl: '1m' } }, { clock }));
    await cache.set('a', 1, 0);
    expect(Number(await cache.ttl('a')) - Date.now()).toBeLessThanOrEqual(60_000);
    clock.advance(60_000);
    expect(await cache.get('a')).toBeUndefined();
  });
});

describe('createCacheManager on the local tier', () => {
  it('expires an entry after its milliseconds', async () => {
    const clock = new FakeClock();
    const tiers = cacheForTest({ redis: false, namespaces: { 'cache-manager': { ttl: '2m' } } }, { clock });
    const cache = createCacheManager(tiers);
    await cache.set('given', 1, 1500);
    await cache.set('default', 1);
    clock.advance(1499);
    expect(await cache.get('given')).toBe(1);
    clock.advance(1);
    expect(await cache.get('given')).toBeUndefined();
    expect(await cache.mget(['given', 'default'])).toEqual([undefined, 1]);
    clock.advance(118_500);
    expect(await cache.get('default')).toBeUndefined();
  });

  it('uses its own default TTL, 0 for no expiry, and ignores a TTL that is not a number', async () => {
    const clock = new FakeClock();
    const tiers = cacheForTest({ redis: false, ttl: '1h' }, { clock });
    const second = createCacheManager(tiers, { ttl: 1000, namespace: 'second', cacheId: 'mine' });
    const endless = createCacheManager(tiers, { ttl: 0, namespace: 'endless' });
    expect(second.cacheId()).toBe('mine');
    await second.set('a', 1);
    await second.set('b', 2, Number.NaN);
    await endless.set('a', 3);
    clock.advance(1000);
    expect(await second.get('a')).toBeUndefined();
    expect(await second.get('b')).toBe(2);
    clock.advance(3_599_000);
    expect(await second.get('b')).toBeUndefined();
    clock.advance(TEN_YEARS_MS / 2);
    expect(await endless.get('a')).toBe(3);
  });

  it('does not serve an entry past its TTL, also where its namespace keeps stale ones', async () => {
    const clock = new FakeClock();
    const options = { redis: false, namespaces: { 'cache-manager': { grace: '1h' } } } as const;
    const cache = createCacheManager(cacheForTest(options, { clock }));
    await cache.set('a', 1, 1000);
    clock.advance(1000);
    expect(await cache.get('a')).toBeUndefined();
    expect(await cache.wrap('a', () => 2)).toBe(2);
  });

  it('returns a copy to each reader, and keeps a copy of the written value', async () => {
    const { cache } = processOver({ redis: false });
    const mine = { tags: ['a'] };
    await cache.set('key', mine);
    mine.tags.push('b');
    const read = await cache.get<typeof mine>('key');
    read?.tags.push('c');
    expect(await cache.get('key')).toEqual({ tags: ['a'] });
    expect(await cache.wrap('key', () => mine)).toEqual({ tags: ['a'] });
  });

  it('reads an invalid key as a miss, and stores nothing under it', async () => {
    const { cache } = processOver({ redis: false });
    const onError = vi.fn<(error: unknown) => void>();
    cache.stores[0]?.on('error', onError);
    await cache.set('good', 1);
    await cache.set('', 1);
    expect(onError).toHaveBeenCalledWith(expect.objectContaining({ name: 'CacheKeyError' }));
    expect(await cache.get('')).toBeUndefined();
    expect(await cache.mget(['good', '\uD800', ''])).toEqual([1, undefined, undefined]);
    expect(await cache.stores[0]?.has('')).toBe(false);
    expect(await cache.del('')).toBe(true);
  });

  it('runs every function and keeps nothing when the cache is switched off', async () => {
    const { cache } = processOver({ redis: false, enabled: false });
    const load = vi.fn<() => number>(() => 1);
    await cache.wrap('key', load);
    await cache.wrap('key', load);
    expect(load).toHaveBeenCalledTimes(2);
    expect(await cache.set('key', 1)).toBe(1);
    expect(await cache.get('key')).toBeUndefined();
  });

  it('leaves the application’s cache open when it is disconnected', async () => {
    const { cache, tiers } = processOver({ redis: false });
    await cache.set('a', 1);
    await cache.disconnect();
    expect(await cache.get('a')).toBe(1);
    await tiers.getCache('users').set('a', 2);
    expect(await tiers.getCache('users').get('a')).toBe(2);
  });

  it('is counted under its namespace', async () => {
    const { cache, tiers } = processOver({ redis: false });
    await cache.wrap('a', () => 1);
    await cache.get('a');
    expect(tiers.getMetrics()).toMatchObject([{ namespace: 'cache-manager', hits: 1, misses: 1, sets: 1 }]);
  });
});

describe('withCacheManagerDefaults', () => {
  const valuesOf = (options?: DistributedCacheOptions) =>
    CacheConfig.resolve(withCacheManagerDefaults(options), {}).namespace(CACHE_MANAGER_NAMESPACE).values;

  it('lets a caller change a value that it has read, unless the application sets another mode', () => {
    expect(valuesOf()).toBe('cloned');
    expect(valuesOf({ local: { values: 'shared' } })).toBe('cloned');
    expect(valuesOf({ namespaces: { 'cache-manager': { ttl: 5, values: undefined } } })).toBe('cloned');
    expect(valuesOf({ namespaces: { 'cache-manager': { values: 'frozen' } } })).toBe('frozen');
  });

  it('keeps all other options, also wrong ones, which the configuration reports', () => {
    const options = withCacheManagerDefaults({ keyPrefix: 'a', namespaces: { users: { ttl: 1 } } });
    expect(options).toEqual({
      keyPrefix: 'a',
      namespaces: { users: { ttl: 1 }, 'cache-manager': { values: 'cloned' } },
    });
    for (const wrong of ['users', [], { 'cache-manager': 5 }, { 'cache-manager': null }]) {
      const given = { namespaces: wrong } as unknown as DistributedCacheOptions;
      expect(() => valuesOf(given)).toThrow('namespaces');
    }
  });
});
