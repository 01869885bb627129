import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { Gate } from '../../../../test/support/gate.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import type { AsyncCache } from './async-cache.js';
import type { DistributedCache } from './distributed-cache.js';

const TIERS = [
  ['L1 alone', () => ({ redis: false as const })],
  ['Redis', () => ({ redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix })],
] as const;

const NO_DATABASE = new Error('no database');
const fail = (): Promise<never> => Promise.reject(NO_DATABASE);

describe.each(TIERS)('a lookup whose load fails (%s)', (_tiers, options) => {
  function users(): { all: DistributedCache; cache: AsyncCache } {
    const all = cacheForTest({ ...options(), namespaces: { users: { grace: '1h' } } });
    return { all, cache: all.getCache('users') };
  }

  it('is a miss: nine failures and one hit make a hit rate of 10 %', async () => {
    const { cache } = users();
    await cache.set('there', 'value');
    for (let call = 0; call < 9; call++) {
      await expect(cache.getOrSet('key', fail)).rejects.toBe(NO_DATABASE);
    }
    await cache.getOrSet('there', fail);
    expect(cache.getMetrics()).toMatchObject({ hits: 1, misses: 9, loadErrors: 9, hitRatePercent: 10 });
  });

  it('is a miss for each call that shares the load, with the event of a miss', async () => {
    const { all, cache } = users();
    const onMiss = vi.fn();
    all.events.on('miss', onMiss);
    const gate = new Gate();
    const first = cache.getOrSet('key', () => gate.opened.then(fail));
    const joined = cache.getOrSet('key', fail);
    gate.open();
    await expect(first).rejects.toBe(NO_DATABASE);
    await expect(joined).rejects.toBe(NO_DATABASE);
    const facts = { namespace: 'users', key: 'key', stale: false, stored: false };
    expect(onMiss.mock.calls).toEqual([[{ ...facts, collapsed: false }], [{ ...facts, collapsed: true }]]);
    expect(cache.getMetrics()).toMatchObject({ misses: 2 });
  });

  it('is a miss when it ends by hardTimeout, and one of a stale value when staleIf forbids that value', async () => {
    const { all, cache } = users();
    await cache.set('key', 'old');
    await cache.expire('key');
    await vi.waitFor(async () => expect(await cache.get('key')).toBeUndefined()); // the clock of hits lags by up to 1 ms
    const before = cache.getMetrics().misses;
    const onMiss = vi.fn();
    all.events.on('miss', onMiss);
    const never = (): Promise<never> => new Promise(() => {});
    await expect(cache.getOrSet('slow', never, { hardTimeout: '20ms' })).rejects.toThrow('hardTimeout');
    await expect(cache.getOrSet('key', fail, { staleIf: () => false })).rejects.toBe(NO_DATABASE);
    expect(onMiss.mock.calls.map(([{ key, stale }]) => [key, stale])).toEqual([
      ['slow', false],
      ['key', true],
    ]);
    expect(await cache.getOrSet('key', fail)).toBe('old');
    expect(cache.getMetrics()).toMatchObject({ misses: before + 2, staleServed: 1 });
  });

  it('is one miss, however many loads the call has joined', async () => {
    const { cache } = users();
    const gate = new Gate();
    const first = cache.getOrSet('key', () => gate.opened.then(fail), { hardTimeout: '50ms' });
    const joined = cache.getOrSet('key', fail);
    await expect(first).rejects.toThrow('hardTimeout');
    await expect(joined).rejects.toBe(NO_DATABASE);
    expect(cache.getMetrics()).toMatchObject({ misses: 2 });
  });
});
