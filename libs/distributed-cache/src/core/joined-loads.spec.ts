import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { Gate, heldLoad } from '../../../../test/support/gate.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import type { DistributedCache } from './distributed-cache.js';
import { encodeKey, prepareKey } from '../keys/index.js';

const TIERS = [
  ['L1 alone', () => ({ redis: false as const })],
  ['Redis', () => ({ redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix })],
] as const;

describe.each(TIERS)('a call for a key that is being loaded (%s)', (_tiers, options) => {
  async function connected(): Promise<DistributedCache> {
    const all = cacheForTest(options());
    await all.connect();
    return all;
  }

  it('returns the one value to each, counts as a miss like the first call, and emits where there is a listener', async () => {
    const all = await connected();
    const cache = all.getCache<{ list: number[] }>('users');
    const key = prepareKey('prepared', '');
    const gate = new Gate();
    const load = vi.fn(async () => {
      await gate.opened;
      return { list: [1] };
    });
    const calls = ['key', 'key', key, key, 'key'].map((each) => cache.getOrSet(each, load));
    const onMiss = vi.fn();
    all.events.on('miss', onMiss);
    calls.push(cache.getOrSet('key', load, { ttl: 60 }), cache.getOrSet(key, load));
    gate.open();
    const values = await Promise.all(calls);
    expect(load).toHaveBeenCalledTimes(2);
    expect(values).toEqual(values.map(() => ({ list: [1] })));
    expect(new Set(values).size).toBe(7);
    expect(cache.getMetrics()).toMatchObject({ misses: 7, loads: 2, hits: 0 });
    const facts = { namespace: 'users', stale: false, stored: true };
    expect(onMiss).toHaveBeenCalledWith({ ...facts, key: 'key', collapsed: true });
    expect(onMiss).toHaveBeenCalledWith({ ...facts, key: 'prepared', collapsed: true });
  });

  it('rejects with the error of the loader, the same object', async () => {
    const cache = (await connected()).getCache('users');
    const error = new Error('no such user');
    const calls = Array.from({ length: 3 }, () => cache.getOrSet('key', () => Promise.reject(error)));
    expect(await Promise.allSettled(calls)).toEqual(calls.map(() => ({ status: 'rejected', reason: error })));
  });

  it('does not join the load of another key, however similar the keys are', async () => {
    const cache = (await connected()).getCache('users');
    const gate = new Gate();
    const slow = async () => {
      await gate.opened;
      return 'of the first';
    };
    const first = cache.getOrSet('100%', slow);
    const varied = cache.getOrSet('key', slow);
    const looksAlike = encodeKey('100%');
    expect(looksAlike).not.toBe('100%');
    expect(await cache.getOrSet(looksAlike, async () => 'its own')).toBe('its own');
    expect(await cache.getOrSet('key', async () => 'of version 2', { version: 2 })).toBe('of version 2');
    gate.open();
    expect(await Promise.all([first, varied])).toEqual(['of the first', 'of the first']);
  });

  it('returns a copy of its own of a mutable value', async () => {
    const cache = (await connected()).getCache<Map<string, number>>('users');
    const calls = [1, 2, 3].map(() => cache.getOrSet('key', async () => new Map([['a', 1]])));
    const [first, second] = await Promise.all(calls);
    first?.set('a', 2);
    expect(second).toEqual(new Map([['a', 1]]));
  });

  it('does not join a load that a later write has superseded', async () => {
    const cache = (await connected()).getCache('users');
    const old = await heldLoad(cache, 'old');
    await cache.set('key', 'new');
    expect(await cache.getOrSet('key', async () => 'not asked')).toBe('new');
    old.release();
    expect(await old.answer).toBe('old');
    expect(await cache.get('key')).toBe('new');
  });

  it('returns the fresh value at once while the entry is being refreshed', async () => {
    const cache = (await connected()).getCache('users');
    const gate = new Gate();
    await cache.set('key', 'fresh');
    const slow = vi.fn(async () => {
      await gate.opened;
      return 'refreshed';
    });
    for (let call = 0; call < 3; call++) {
      expect(await cache.getOrSet('key', slow, { refreshAhead: 1e-9 })).toBe('fresh');
    }
    await vi.waitFor(() => expect(slow).toHaveBeenCalledTimes(1));
    gate.open();
  });
});
