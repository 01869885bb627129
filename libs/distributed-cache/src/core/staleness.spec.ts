import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { Gate } from '../../../../test/support/gate.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions } from '../config/index.js';
import { LoaderTimeoutError } from '../errors/index.js';
import { FakeClock } from '../testing/fake-clock.js';
import type { AsyncCache } from './async-cache.js';

const GRACE: DistributedCacheOptions = { redis: false, namespaces: { books: { ttl: '1m', grace: '1h' } } };

function localCache(random = () => 1): { cache: AsyncCache; clock: FakeClock } {
  const clock = new FakeClock();
  return { cache: cacheForTest(GRACE, { clock, random }).getCache('books'), clock };
}

describe('stale values', () => {
  it('are returned when the loader exceeds softTimeout; the result of the load is stored when it arrives', async () => {
    const { cache, clock } = localCache();
    await cache.set('key', 'old');
    clock.advance(60_000);
    const gate = new Gate();
    const load = async (): Promise<string> => {
      await gate.opened;
      return 'new';
    };
    expect(await cache.getOrSet('key', load, { softTimeout: '10ms' })).toBe('old');
    gate.open();
    await vi.waitFor(async () => expect(await cache.get('key')).toBe('new'));
  });

  it('replace only the errors that staleIf accepts', async () => {
    const { cache, clock } = localCache();
    await cache.set('key', 'old');
    clock.advance(60_000);
    const error = new Error('not found');
    const options = { staleIf: (thrown: unknown) => thrown !== error };
    await expect(cache.getOrSet('key', () => Promise.reject(error), options)).rejects.toBe(error);
    expect(await cache.getOrSet('key', () => Promise.reject(new Error('timeout')), options)).toBe('old');
  });

  it('remain after an entry has been expired', async () => {
    const { cache } = localCache();
    await cache.set('key', 'old');
    expect(await cache.expire('key')).toBe(true);
    expect(await cache.expire('missing')).toBe(false);
    expect(await cache.get('key')).toBeUndefined();
    expect(await cache.lookup('key')).toMatchObject({ state: 'stale', value: 'old' });
    expect(await cache.getOrSet('key', () => Promise.reject(new Error('no')))).toBe('old');
    expect(await cache.getOrSet('key', async () => 'new')).toBe('new');
  });

  it('are stale in every process after expire, and a load that began before is not stored', async () => {
    const { url, keyPrefix } = redisForTest();
    const options = { ...GRACE, redis: { url }, keyPrefix };
    const [podA, podB] = [cacheForTest(options).getCache('books'), cacheForTest(options).getCache('books')];
    await podA.set('key', 'old');
    expect(await podB.get('key')).toBe('old');
    expect(await podA.expire('key')).toBe(true);
    await vi.waitFor(async () => expect(await podB.lookup('key')).toMatchObject({ state: 'stale', value: 'old' }));
    const [started, gate] = [new Gate(), new Gate()];
    const loading = podB.getOrSet('key', async () => {
      started.open();
      await gate.opened;
      return 'begun before';
    });
    await started.opened;
    await podA.expire('key');
    gate.open();
    expect(await loading).toBe('begun before');
    expect(await podA.lookup('key')).toMatchObject({ state: 'stale', value: 'old' });
  });

  it.each(['with Redis', 'without'])('remain for the grace of the entry itself after expire, %s', async (where) => {
    const { url, keyPrefix } = redisForTest();
    const cache = cacheForTest({ redis: where === 'without' ? false : { url }, keyPrefix }).getCache('books');
    await cache.set('key', 'old', { grace: '1h' });
    expect(await cache.expire('key')).toBe(true);
    expect(await cache.lookup('key')).toMatchObject({ state: 'stale', value: 'old' });
    await cache.set('none', 'old');
    expect(await cache.expire('none')).toBe(true);
    expect(await cache.lookup('none')).toEqual({ state: 'miss' });
  });

  it('do not exist without a grace: expire deletes the entry', async () => {
    const cache = cacheForTest({ redis: false }).getCache('books');
    await cache.set('key', 'old');
    expect(await cache.expire('key')).toBe(true);
    expect(await cache.lookup('key')).toEqual({ state: 'miss' });
  });
});

describe('a loader', () => {
  it('is aborted at hardTimeout through its signal', async () => {
    const cache = cacheForTest({ redis: false }).getCache('books');
    let aborted: unknown;
    const loading = cache.getOrSet(
      'key',
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted = signal.reason;
            reject(new Error('aborted'));
          });
        }),
      { hardTimeout: '10ms' },
    );
    await expect(loading).rejects.toBeInstanceOf(LoaderTimeoutError);
    expect(aborted).toBeInstanceOf(LoaderTimeoutError);
  });
});

describe('a hit shortly before the expiry', () => {
  it('starts one refresh in the background after refreshAhead, and returns the cached value', async () => {
    const { cache, clock } = localCache();
    await cache.getOrSet('key', async () => 1);
    clock.advance(47_999);
    const gate = new Gate();
    const load = vi.fn(async () => {
      await gate.opened;
      return 2;
    });
    expect(await cache.getOrSet('key', load, { refreshAhead: 0.8 })).toBe(1);
    expect(load).not.toHaveBeenCalled();
    clock.advance(1);
    expect(await cache.getOrSet('key', load, { refreshAhead: 0.8 })).toBe(1);
    expect(await cache.getOrSet('key', load, { refreshAhead: 0.8 })).toBe(1);
    gate.open();
    await vi.waitFor(async () => expect(await cache.get('key')).toBe(2));
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('starts a refresh with a probability that grows near the expiry and with the load time', async () => {
    let chance = 1;
    const { cache, clock } = localCache(() => chance);
    const slowly = (value: number) => async (): Promise<number> => {
      clock.advance(1000);
      return value;
    };
    await cache.getOrSet('key', slowly(1));
    clock.advance(58_000); // two load times before the expiry: a probability of e^-2
    chance = 0.14;
    const tooEarly = vi.fn(slowly(2));
    await cache.getOrSet('key', tooEarly);
    expect(tooEarly).not.toHaveBeenCalled();
    chance = 0.13;
    expect(await cache.getOrSet('key', slowly(3))).toBe(1);
    await vi.waitFor(async () => expect(await cache.get('key')).toBe(3));
  });

  it('keeps the entry when the refresh fails', async () => {
    const { cache, clock } = localCache();
    await cache.getOrSet('key', async () => 1);
    clock.advance(59_000);
    const load = vi.fn(() => Promise.reject(new Error('no')));
    expect(await cache.getOrSet('key', load, { refreshAhead: 0.5 })).toBe(1);
    await vi.waitFor(() => expect(cache.getMetrics().loadErrors).toBe(1));
    expect(await cache.get('key')).toBe(1);
  });

  it('is refreshed by one process only', async () => {
    const { url, keyPrefix } = redisForTest();
    const caches = Array.from({ length: 4 }, () => cacheForTest({ redis: { url }, keyPrefix }).getCache('books'));
    await caches[0]!.getOrSet('key', async () => 'old');
    const gate = new Gate();
    const load = vi.fn(async () => {
      await gate.opened;
      return 'new';
    });
    await Promise.all(caches.map((cache) => cache.get('key')));
    const answers = await Promise.all(caches.map((cache) => cache.getOrSet('key', load, { refreshAhead: 1e-9 })));
    expect(new Set(answers)).toEqual(new Set(['old']));
    gate.open();
    await vi.waitFor(async () =>
      expect(await Promise.all(caches.map((cache) => cache.get('key')))).toEqual(['new', 'new', 'new', 'new']),
    );
    expect(load).toHaveBeenCalledTimes(1);
  });
});

describe('a deletion with holdOff', () => {
  it('lets every process store the result of a loader again after that time', async () => {
    const { url, keyPrefix } = redisForTest();
    const [podA, podB] = [0, 1].map(() => cacheForTest({ redis: { url }, keyPrefix }).getCache('books')) as [
      AsyncCache,
      AsyncCache,
    ];
    await podA.set('key', 'old');
    await podA.delete('key', { holdOff: '300ms' });
    await vi.waitFor(async () => {
      await podB.getOrSet('key', async () => 'new');
      expect(await podA.get('key')).toBe('new');
    });
  });
});

describe('TTLs of loaded entries', () => {
  it('differ by one percent at most, and never by more than ten seconds', async () => {
    const { cache } = localCache(() => 0.5);
    await cache.getOrSet('minute', async () => 1);
    await cache.getOrSet('day', async () => 1, { ttl: '24h' });
    expect(await cache.lookup('minute')).toMatchObject({ ttlMs: 60_000 - 300 });
    expect(await cache.lookup('day')).toMatchObject({ ttlMs: 86_400_000 - 5000 });
    await cache.set('set', 1);
    expect(await cache.lookup('set')).toMatchObject({ ttlMs: 60_000 });
  });
});
