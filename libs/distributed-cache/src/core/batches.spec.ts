import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { Gate } from '../../../../test/support/gate.js';
import { ownRedis, proxyTo, sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions } from '../config/index.js';
import type { AsyncCache } from './async-cache.js';

describe.each<[string, () => DistributedCacheOptions]>([
  ['with Redis', sharedRedis],
  ['on L1 alone', () => ({ redis: false })],
])('getOrSetMany %s', (_name, options) => {
  it('loads all missing keys in one call, in order, with duplicates', async () => {
    const cache = cacheForTest(options()).getCache<string>('books');
    await cache.set('b', 'B');
    const load = vi.fn(async (missing: string[]) => missing.map((key) => key.toUpperCase()));
    expect(await cache.getOrSetMany(['c', 'b', 'a', 'c'], load)).toEqual(['C', 'B', 'A', 'C']);
    expect(load.mock.calls.map(([missing]) => missing)).toEqual([['c', 'a']]);
    expect(await cache.getOrSetMany(['a', 'b', 'c'], load)).toEqual(['A', 'B', 'C']);
    expect(load).toHaveBeenCalledTimes(1);
    expect(await cache.getOrSetMany([], load)).toEqual([]);
  });

  it('shares the loads of single keys and of other batches', async () => {
    const all = cacheForTest(options());
    await all.connect();
    const cache = all.getCache<string>('books');
    const gate = new Gate();
    const load = vi.fn(async (missing: string[]) => {
      await gate.opened;
      return missing.map((key) => key.toUpperCase());
    });
    const batches = [cache.getOrSetMany(['a', 'b'], load), cache.getOrSetMany(['b', 'a'], load)];
    const single = cache.getOrSet('a', async () => 'never asked');
    gate.open();
    expect(await Promise.all([...batches, single])).toEqual([['A', 'B'], ['B', 'A'], 'A']);
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('passes on the error of the loader, the same object, and rejects a wrong number of values', async () => {
    const cache = cacheForTest(options()).getCache<string>('books');
    const error = new Error('no database');
    await expect(cache.getOrSetMany(['a', 'b'], () => Promise.reject(error))).rejects.toBe(error);
    await expect(cache.getOrSetMany(['a', 'b'], async () => ['A'])).rejects.toThrow('returned 1');
    expect(await cache.getOrSetMany(['a', 'b'], async (missing) => missing)).toEqual(['a', 'b']);
  });

  it('applies the decision of the loader to every key of its batch', async () => {
    const cache = cacheForTest(options()).getCache<string>('books');
    await cache.getOrSetMany(['a', 'b'], async (missing, context) => {
      context.addTags('letters');
      return missing;
    });
    expect(await cache.getMany(['a', 'b'])).toEqual(['a', 'b']);
    await cache.invalidateTags('letters');
    expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined]);
  });
});

describe('getOrSetMany whose loader fails', () => {
  it('returns the stale values if every key has one, else the error', async () => {
    const all = cacheForTest({ ...sharedRedis(), namespaces: { books: { grace: '1h' } } });
    const cache = all.getCache<string>('books');
    const failed = vi.fn();
    all.events.on('refreshFailed', failed);
    await cache.setMany([
      ['a', 'A'],
      ['b', 'B'],
    ]);
    await Promise.all([cache.expire('a'), cache.expire('b')]);
    const error = new Error('no database');
    expect(await cache.getOrSetMany(['a', 'b'], () => Promise.reject(error))).toEqual(['A', 'B']);
    expect(failed).toHaveBeenCalledTimes(2);
    await expect(cache.getOrSetMany(['a', 'c'], () => Promise.reject(error))).rejects.toBe(error);
    expect(cache.getMetrics()).toMatchObject({ loads: 4, loadErrors: 4 });
  });

  it('releases the leases, so that another process loads at once', async () => {
    const options = sharedRedis();
    const [podA, podB] = [0, 1].map(() => cacheForTest(options, { leaseMs: 60_000 }).getCache<string>('books'));
    const keys = Array.from({ length: 600 }, (_, index) => `key${index}`);
    await expect(podA!.getOrSetMany(keys, () => Promise.reject(new Error('no database')))).rejects.toThrow(
      'no database',
    );
    expect(await podB!.getOrSetMany(keys, async (missing) => missing)).toEqual(keys);
  });
});

describe('getOrSetMany in two processes', () => {
  it('keeps no value whose key has changed while its loader ran', async () => {
    const options = sharedRedis();
    const caches = [cacheForTest(options), cacheForTest(options)] as const;
    await Promise.all(caches.map((cache) => cache.connect()));
    const [podA, podB] = [caches[0].getCache<string>('books'), caches[1].getCache<string>('books')];
    const keys = ['deleted here', 'set here', 'deleted there', 'set there', 'tagged', 'unchanged'];
    const values = await podA.getOrSetMany(
      keys,
      async (missing) => {
        await Promise.all([podA.delete('deleted here'), podA.set('set here', 'new')]);
        await Promise.all([podB.delete('deleted there'), podB.set('set there', 'new')]);
        return missing.map(() => 'loaded');
      },
      { tags: ['letters'] },
    );
    expect(values).toEqual(keys.map(() => 'loaded'));
    await vi.waitFor(async () => {
      for (const cache of [podA, podB]) {
        expect(await cache.getMany(keys)).toEqual([undefined, 'new', undefined, 'new', 'loaded', 'loaded']);
      }
    });
    await podB.invalidateTags('letters');
    await vi.waitFor(async () => expect(await podA.getMany(['tagged', 'set here'])).toEqual([undefined, 'new']));
  });

  it('keeps no value whose tag was invalidated while its loader ran', async () => {
    const options = sharedRedis();
    const caches = [cacheForTest(options), cacheForTest(options)] as const;
    await Promise.all(caches.map((cache) => cache.connect()));
    const [podA, podB] = [caches[0].getCache<string>('books'), caches[1].getCache<string>('books')];
    const load = async (missing: string[]): Promise<string[]> => {
      await podB.invalidateTags('letters');
      return missing.map(() => 'loaded');
    };
    expect(await podA.getOrSetMany(['a', 'b'], load, { tags: ['letters'] })).toEqual(['loaded', 'loaded']);
    for (const cache of [podA, podB]) {
      expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined]);
    }
  });

  it('does not load a key that the other process is loading', async () => {
    const options = sharedRedis();
    const [podA, podB] = [0, 1].map(() => cacheForTest(options).getCache<string>('books'));
    const [started, gate] = [new Gate(), new Gate()];
    const first = podA!.getOrSetMany(['a', 'b'], async (missing) => {
      started.open();
      await gate.opened;
      return missing.map((key) => key.toUpperCase());
    });
    await started.opened;
    const load = vi.fn(async (missing: string[]) => missing.map((key) => key.toUpperCase()));
    const second = podB!.getOrSetMany(['b', 'c'], load);
    await vi.waitFor(() => expect(load).toHaveBeenCalledTimes(1));
    gate.open();
    expect(await Promise.all([first, second])).toEqual([
      ['A', 'B'],
      ['B', 'C'],
    ]);
    expect(load.mock.calls.map(([missing]) => missing)).toEqual([['c']]);
  });

  it('stores a batch whose lookups and stores together take longer than the limit of one load', async () => {
    const options = sharedRedis();
    // On a busy machine a renewal of the leases may be late.
    const caches = [0, 1].map(() => cacheForTest(options, { loadLifeMs: 50, leaseMs: 30_000 }));
    await Promise.all(caches.map((cache) => cache.connect()));
    const [podA, podB] = caches.map((cache) => cache.getCache<string>('books'));
    const keys = Array.from({ length: 10_000 }, (_, index) => `key${index}`);
    expect(await podA!.getOrSetMany(keys, async (missing) => missing)).toEqual(keys);
    const missing = async (): Promise<number> =>
      (await podB!.getMany(keys)).filter((value) => value === undefined).length;
    await vi.waitFor(async () => expect(await missing()).toBe(0), { timeout: 10_000 });
  });

  it('ends the leases of a batch whose loader never returns', async () => {
    const options = sharedRedis();
    const caches = [cacheForTest(options, { loadLifeMs: 200, leaseMs: 90 }), cacheForTest(options)];
    await Promise.all(caches.map((cache) => cache.connect()));
    const [podA, podB] = caches.map((cache) => cache.getCache<string>('books'));
    const [started, gate] = [new Gate(), new Gate()];
    const first = podA!.getOrSetMany(['a', 'b'], async (missing) => {
      started.open();
      await gate.opened;
      return missing.map(() => 'too late');
    });
    await started.opened;
    expect(await podB!.getOrSetMany(['a', 'b'], async (missing) => missing)).toEqual(['a', 'b']);
    gate.open();
    expect(await first).toEqual(['too late', 'too late']);
    expect(await podA!.getMany(['a', 'b'])).toEqual(['a', 'b']);
  });
});

describe('setMany of more than one piece', () => {
  it('stores the values as they were at the call', async () => {
    const options = sharedRedis();
    const [cache, elsewhere] = [0, 1].map(() => cacheForTest(options).getCache<{ text: string }>('books'));
    const keys = Array.from({ length: 2000 }, (_, index) => `key${index}`);
    const values = keys.map((key) => ({ key, text: 'x'.repeat(2000) }));
    const storing = cache!.setMany(keys.map((key, index) => [key, values[index]!] as const));
    values.forEach((value) => (value.text = 'changed'));
    expect(await storing).toBe(true);
    for (const each of [cache, elsewhere]) {
      const found = await each!.getMany(keys);
      expect(found.filter((value) => value?.text.length !== 2000)).toEqual([]);
    }
  });
});

describe('a batch of several pieces that begins before the stamps are known', () => {
  const keys = Array.from({ length: 1500 }, (_, index) => `key${index}`);
  const entries = keys.map((key) => [key, 'new'] as const);
  it.each<[string, (cache: AsyncCache<string>) => Promise<unknown>, unknown]>([
    ['getMany', (cache) => cache.getMany(keys), keys],
    ['setMany', (cache) => cache.setMany(entries), true],
    ['setMany with tags', (cache) => cache.setMany(entries, { tags: ['tag', 'other tag'] }), true],
    ['getOrSetMany', (cache) => cache.getOrSetMany(keys, async (missing) => missing.map(() => 'loaded')), keys],
  ])('waits for a Redis that stands still for less than three deadlines: %s', async (_name, run, expected) => {
    const server = await ownRedis();
    const options = { redis: { url: server.url }, deadlineMs: 400 };
    const [writer, reader] = [cacheForTest(options), cacheForTest(options)] as const;
    await Promise.all([writer.connect(), reader.connect()]);
    await writer.getCache<string>('books').setMany(keys.map((key) => [key, key] as const));
    server.freeze();
    const running = run(reader.getCache<string>('books'));
    await delay(700);
    server.thaw();
    expect(await running).toEqual(expected);
  });
});

it('a batch of several pieces waits for the stamps of its tags longer than one deadline', async () => {
  const server = await ownRedis();
  const proxy = await proxyTo(server);
  const writer = cacheForTest({ redis: { url: server.url } }).getCache<string>('books');
  const far = cacheForTest({ redis: { host: proxy.host, port: proxy.port }, deadlineMs: 400 });
  await far.connect();
  const keys = Array.from({ length: 300 }, (_, index) => `key${index}`);
  const storing = keys.map((key) => writer.set(key, key, { tags: [`tag of ${key}`] }));
  expect(new Set(await Promise.all(storing))).toEqual(new Set([true]));
  const reader = far.getCache<string>('books');
  await reader.get('the stamp of the namespace is known');
  proxy.delay(250 / 2);
  const found = await reader.getMany(keys);
  expect(keys.filter((key, index) => found[index] !== key)).toEqual([]);
});

describe('getOrSetMany without a place for its entries', () => {
  it.each<[string, DistributedCacheOptions, string[] | undefined]>([
    ['with the cache switched off', { redis: false, enabled: false }, undefined],
    ['when a dimension is missing', { redis: false }, ['tenant']],
  ])('runs its loader once for all keys: %s', async (_title, options, varyBy) => {
    const cache = cacheForTest(options).getCache<string>('books');
    const load = vi.fn(async (missing: string[]) => missing.map((key) => key.toUpperCase()));
    const entry = varyBy === undefined ? {} : { varyBy };
    expect(await cache.getOrSetMany(['b', 'a', 'b'], load, entry)).toEqual(['B', 'A', 'B']);
    expect(await cache.getOrSetMany(['a'], load, entry)).toEqual(['A']);
    expect(load.mock.calls.map(([missing]) => missing)).toEqual([['b', 'a'], ['a']]);
  });
});
