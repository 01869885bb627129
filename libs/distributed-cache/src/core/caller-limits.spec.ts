import { describe, expect, it, vi } from 'vitest';
import { cacheForTest, cachesForTest } from '../../../../test/support/cache-for-test.js';
import { Gate, heldLoad } from '../../../../test/support/gate.js';
import { sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions } from '../config/index.js';
import { LoaderTimeoutError } from '../errors/index.js';
import { RedisTier } from '../redis/index.js';
import type { AsyncCache } from './async-cache.js';
import type { CacheEnvironment } from './distributed-cache.js';
import type { EntryOptions } from './entry-options.js';

function local(environment?: CacheEnvironment, options: DistributedCacheOptions = {}): AsyncCache {
  return cacheForTest({ redis: false, ...options }, environment).getCache('users');
}

/** Stores a stale value under `key`. */
async function localWithStale(value: string): Promise<AsyncCache> {
  const cache = local(undefined, { namespaces: { users: { grace: '1h' } } });
  await cache.set('key', value);
  await cache.expire('key');
  await vi.waitFor(async () => expect(await cache.get('key')).toBeUndefined()); // the clock of hits lags by up to 1 ms
  return cache;
}

const waits = (cache: AsyncCache): number => cache.getMetrics().waits;

describe('options of a call that can have no effect', () => {
  it.each<[EntryOptions, string]>([
    [{ softTimeout: '5s', hardTimeout: 1 }, 'softTimeout (5s) must not be longer than hardTimeout (1)'],
    [{ refreshAhead: 1 }, 'refreshAhead must be a part of the TTL, over 0 and under 1, got 1'],
    [{ refreshAhead: Number.NaN }, 'refreshAhead must be a part of the TTL, over 0 and under 1, got NaN'],
    [{ grace: -1 }, '-1'],
    [{ ttl: 0 }, 'ttl must be longer than 0'],
  ])('are refused before the loader runs, with their names: %j', async (options, message) => {
    const load = vi.fn(async () => 'value');
    const cache = local();
    await expect(cache.getOrSet('key', load, options)).rejects.toThrow(message);
    await expect(cache.getOrSetMany(['key'], async () => [await load()], options)).rejects.toThrow(message);
    expect(load).not.toHaveBeenCalled();
  });
});

describe('the limits of a call that waits for the load of another process', () => {
  it('end the call at its hardTimeout, and its own loader does not run afterwards', async () => {
    const [podA, podB] = (await cachesForTest(2, sharedRedis())) as [AsyncCache, AsyncCache];
    const { answer, release } = await heldLoad(podA, new Error('no database'));
    const load = vi.fn(async () => 'from B');
    await expect(podB.getOrSet('key', load, { hardTimeout: '50ms' })).rejects.toBeInstanceOf(LoaderTimeoutError);
    release();
    await expect(answer).rejects.toThrow('no database');
    await vi.waitFor(async () => expect((await podB.inspect('key')).isLoading).toBe(false));
    expect(load).not.toHaveBeenCalled();
    expect(await podB.getOrSet('key', load, { hardTimeout: '5s' })).toBe('from B');
  });

  it('apply to a batch', async () => {
    const [podA, podB] = (await cachesForTest(2, sharedRedis())) as [AsyncCache, AsyncCache];
    const { answer, release } = await heldLoad(podA, 'from A');
    const asking = podB.getOrSetMany(['key', 'other'], async (missing) => missing, { hardTimeout: '50ms' });
    await expect(asking).rejects.toBeInstanceOf(LoaderTimeoutError);
    release();
    expect(await answer).toBe('from A');
  });

  it('leave the rest of hardTimeout to its own loader', async () => {
    const [podA, podB] = (await cachesForTest(2, sharedRedis())) as [AsyncCache, AsyncCache];
    const { answer, release } = await heldLoad(podA, new Error('no database'));
    const aborted = new Gate();
    const asking = podB.getOrSet(
      'key',
      ({ signal }) => new Promise(() => signal.addEventListener('abort', aborted.open)),
      { hardTimeout: '500ms' },
    );
    await vi.waitFor(() => expect(waits(podB)).toBe(1));
    release();
    await expect(answer).rejects.toThrow('no database');
    await expect(asking).rejects.toBeInstanceOf(LoaderTimeoutError);
    await aborted.opened;
  });
});

describe('the limits of a call that joins a load of its own process', () => {
  it('end the call at its hardTimeout; the load continues and its result is stored', async () => {
    const cache = local();
    const { answer, release } = await heldLoad(cache, 'loaded');
    const asking = cache.getOrSet('key', () => 'not asked', { hardTimeout: '30ms' });
    await expect(asking).rejects.toBeInstanceOf(LoaderTimeoutError);
    release();
    expect(await answer).toBe('loaded');
    expect(await cache.get('key')).toBe('loaded');
  });

  it.each(['softTimeout', 'hardTimeout'])('return the stale value after its %s', async (limit) => {
    const cache = await localWithStale('old');
    const { answer, release } = await heldLoad(cache, 'new');
    expect(await cache.getOrSet('key', () => 'not asked', { [limit]: '30ms' })).toBe('old');
    release();
    expect(await answer).toBe('new');
    expect(await cache.get('key')).toBe('new');
  });

  it('follow its own staleIf', async () => {
    const cache = await localWithStale('old');
    const { answer, release } = await heldLoad(cache, 'new');
    const asking = cache.getOrSet('key', () => 'not asked', { hardTimeout: '30ms', staleIf: () => false });
    await expect(asking).rejects.toBeInstanceOf(LoaderTimeoutError);
    release();
    await answer;
    expect(await cache.get('key')).toBe('new');
  });

  it('differ from those of the call that began the load: a call with longer limits uses its own loader', async () => {
    const cache = local();
    const started = new Gate();
    const hasty = cache.getOrSet('key', () => (started.open(), new Promise(() => {})), { hardTimeout: '30ms' });
    await started.opened;
    const load = vi.fn(() => 'loaded');
    const patient = [cache.getOrSet('key', load), cache.getOrSet('key', load, { hardTimeout: '1h' })];
    await expect(hasty).rejects.toBeInstanceOf(LoaderTimeoutError);
    expect(await Promise.all(patient)).toEqual(['loaded', 'loaded']);
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('start no second loader where all calls have the same limits', async () => {
    const cache = local();
    const load = vi.fn(() => new Promise(() => {}));
    const calls = Array.from({ length: 10 }, () => cache.getOrSet('key', load, { hardTimeout: '30ms' }));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.every((each) => each.status === 'rejected' && each.reason instanceof LoaderTimeoutError)).toBe(
      true,
    );
    expect(load).toHaveBeenCalledTimes(1);
  });
});

describe('a loader that never returns', () => {
  const SHORT = { loadLifeMs: 200, leaseMs: 90 };

  it('blocks its key in other processes no longer than the time limit of a load', async () => {
    const [podA, podB, podC] = (await cachesForTest(3, sharedRedis(), SHORT)) as [AsyncCache, AsyncCache, AsyncCache];
    const { answer, release } = await heldLoad(podA, 'too late');
    const load = vi.fn(async () => 'loaded');
    expect(await Promise.all([podB.getOrSet('key', load), podC.getOrSet('key', load)])).toEqual(['loaded', 'loaded']);
    expect(load).toHaveBeenCalledTimes(1);
    release();
    expect(await answer).toBe('too late');
    for (const pod of [podA, podB, podC]) {
      expect(await pod.get('key')).toBe('loaded');
    }
  });

  it.each<[string, () => Promise<AsyncCache>]>([
    ['with L1 alone', async () => local(SHORT)],
    ['with Redis', async () => (await cachesForTest(1, sharedRedis(), SHORT))[0] as AsyncCache],
  ])('blocks its key in its own process no longer than that, and its result is not stored, %s', async (_what, open) => {
    const cache = await open();
    const { answer, release } = await heldLoad(cache, 'too late');
    const load = vi.fn(async () => 'loaded');
    const joined = [cache.getOrSet('key', load), cache.getOrSet('key', load, { ttl: '1h' })];
    expect(await Promise.all(joined)).toEqual(['loaded', 'loaded']);
    expect(load).toHaveBeenCalledTimes(1);
    release();
    expect(await answer).toBe('too late');
    expect(await cache.get('key')).toBe('loaded');
  });

  it('is not joined by a call that begins after that time', async () => {
    const cache = local({ loadLifeMs: 1 });
    const { answer, release } = await heldLoad(cache, 'too late');
    await vi.waitFor(async () => expect(await cache.getOrSet('key', () => 'loaded')).toBe('loaded'));
    await cache.delete('key');
    release();
    expect(await answer).toBe('too late');
    expect(await cache.get('key')).toBeUndefined();
  });

  it('keeps its lease for longer where its hardTimeout is longer', async () => {
    const [podA, podB] = (await cachesForTest(2, sharedRedis(), { loadLifeMs: 1, leaseMs: 600 })) as [
      AsyncCache,
      AsyncCache,
    ];
    const renew = vi.spyOn(RedisTier.prototype, 'renew');
    const [started, gate] = [new Gate(), new Gate()];
    const load = vi.fn(async () => {
      started.open();
      await gate.opened;
      return 'loaded';
    });
    const first = podA.getOrSet('key', load, { hardTimeout: '1h' });
    await started.opened;
    const second = podB.getOrSet('key', load);
    await vi.waitFor(() => expect(waits(podB)).toBe(1));
    await vi.waitFor(() => expect(renew.mock.calls.length).toBeGreaterThan(2), { timeout: 10_000 });
    gate.open();
    expect(await Promise.all([first, second])).toEqual(['loaded', 'loaded']);
    expect(load).toHaveBeenCalledTimes(1);
  });
});
