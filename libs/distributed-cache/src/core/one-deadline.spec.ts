import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { FaultProxy } from '../../../../test/support/fault-proxy.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import type { AsyncCache } from './async-cache.js';
import type { DistributedCache } from './distributed-cache.js';

const DEADLINE_MS = 1000;
/** The delay of each answer: one fits into the deadline, two do not. */
const LATE_MS = 700;

async function farCache(): Promise<{
  all: DistributedCache;
  cache: AsyncCache<string>;
  near: AsyncCache<string>;
  makeLate: () => void;
}> {
  const { port, url, keyPrefix } = redisForTest();
  const proxy = await FaultProxy.start(port);
  onTestFinished(() => proxy.close());
  const far = cacheForTest({
    redis: { host: proxy.host, port: proxy.port, clientOptions: { commandTimeout: 20_000 } },
    keyPrefix,
    deadlineMs: DEADLINE_MS,
    heartbeatMs: 60_000,
  });
  const near = cacheForTest({ redis: { url }, keyPrefix });
  await Promise.all([far.connect(), near.connect()]);
  return {
    all: far,
    cache: far.getCache('books'),
    near: near.getCache('books'),
    makeLate: () => proxy.delay(LATE_MS / 2), // once in each direction
  };
}

async function durationOf(work: Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work;
  return performance.now() - startedAtMs;
}

/** Two steps would take 1,400 ms, three 2,100. */
const MOST_MS = 1350;

describe('an operation of several steps waits for Redis no longer than one deadline', () => {
  it('getOrSet under tags whose invalidation is pending in Redis', async () => {
    const { cache, makeLate } = await farCache();
    makeLate();
    const load = vi.fn(async () => 'loaded');
    const tookMs = await durationOf(cache.getOrSet('key', load, { tags: ['one', 'two'] }));
    expect(tookMs).toBeLessThan(MOST_MS);
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('set under a tag whose invalidation is pending in Redis', async () => {
    const { cache, makeLate } = await farCache();
    makeLate();
    expect(await durationOf(cache.set('key', 'value', { tags: ['one'] }))).toBeLessThan(MOST_MS);
  });

  it.each<[name: string, set: (cache: AsyncCache<string>) => Promise<boolean>]>([
    ['set', (cache) => cache.set('key', 'value', { tags: ['one'] })],
    ['setMany', (cache) => cache.setMany([['key', 'value']], { tags: ['one'] })],
  ])(
    '%s that does not store for lack of time counts as an error, although each answer was in time',
    async (_name, set) => {
      const { all, cache, makeLate } = await farCache();
      const errors: unknown[] = [];
      all.events.on('tierError', ({ operation, error }) => errors.push([operation, error.name]));
      makeLate();
      expect(await set(cache)).toBe(false);
      expect(errors).toEqual([['set', 'TierTimeoutError']]);
      expect(cache.getMetrics().errors).toBe(1);
    },
  );

  it('get of an entry under a tag that this process does not know', async () => {
    const { cache, near, makeLate } = await farCache();
    await near.set('key', 'value', { tags: ['one'] });
    makeLate();
    expect(await durationOf(cache.get('key'))).toBeLessThan(MOST_MS);
  });

  it('getMany of entries under tags that this process does not know', async () => {
    const { cache, near, makeLate } = await farCache();
    await near.set('key', 'value', { tags: ['one'] });
    await near.set('other', 'value', { tags: ['two'] });
    makeLate();
    expect(await durationOf(cache.getMany(['key', 'other']))).toBeLessThan(MOST_MS);
  });

  it('invalidateTags, delete, expire and clear', async () => {
    const { cache, near, makeLate } = await farCache();
    await near.set('key', 'value', { tags: ['one'], grace: '1m' });
    makeLate();
    expect(await durationOf(cache.invalidateTags('one', 'two'))).toBeLessThan(MOST_MS);
    expect(await durationOf(cache.delete('key'))).toBeLessThan(MOST_MS);
    expect(await durationOf(cache.expire('key'))).toBeLessThan(MOST_MS);
    expect(await durationOf(cache.clear())).toBeLessThan(MOST_MS);
  });
});
