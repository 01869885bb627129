import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { FaultProxy } from '../../../../test/support/fault-proxy.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import type { AsyncCache } from './async-cache.js';
import type { DistributedCache } from './distributed-cache.js';

const DEADLINE_MS = 2000;
/** The delay of each answer: one fits into the deadline, two do not, even with the extensions of a busy process. */
const LATE_MS = 1600;

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

type Far = Awaited<ReturnType<typeof farCache>>;

/** Operations of several steps; two steps would take two delays. */
const OPERATIONS: Readonly<Record<string, (far: Far) => Promise<unknown>>> = {
  'getOrSet under tags whose invalidation is pending in Redis': async ({ cache }) => {
    const load = vi.fn(async () => 'loaded');
    await cache.getOrSet('key', load, { tags: ['one', 'two'] });
    expect(load).toHaveBeenCalledTimes(1);
  },
  'set under a tag whose invalidation is pending in Redis': ({ cache }) => cache.set('key', 'value', { tags: ['one'] }),
  'get of an entry under a tag that this process does not know': ({ cache }) => cache.get('known'),
  'getMany of entries under tags that this process does not know': ({ cache }) => cache.getMany(['known', 'other']),
  invalidateTags: ({ cache }) => cache.invalidateTags('one', 'two'),
  delete: ({ cache }) => cache.delete('known'),
  expire: ({ cache }) => cache.expire('known'),
  clear: ({ cache }) => cache.clear(),
};

describe('an operation of several steps waits for Redis no longer than one deadline', () => {
  it(`${Object.keys(OPERATIONS).join('; ')}: each ends before a second answer can arrive`, async () => {
    const endings = Object.entries(OPERATIONS).map(async ([name, run]) => {
      const far = await farCache();
      await far.near.set('known', 'value', { tags: ['one'], grace: '1m' });
      await far.near.set('other', 'value', { tags: ['two'] });
      far.makeLate();
      const inTime = run(far).then(() => 'one deadline');
      return [name, await Promise.race([inTime, delay(2 * LATE_MS).then(() => 'two answers')])];
    });
    expect(Object.fromEntries(await Promise.all(endings))).toEqual(
      Object.fromEntries(Object.keys(OPERATIONS).map((name) => [name, 'one deadline'])),
    );
  });

  it('set and setMany that do not store for lack of time count as an error, although each answer was in time', async () => {
    const sets: readonly ((cache: AsyncCache<string>) => Promise<boolean>)[] = [
      (cache) => cache.set('key', 'value', { tags: ['one'] }),
      (cache) => cache.setMany([['key', 'value']], { tags: ['one'] }),
    ];
    await Promise.all(
      sets.map(async (set) => {
        const { all, cache, makeLate } = await farCache();
        const errors: unknown[] = [];
        all.events.on('tierError', ({ operation, error }) => errors.push([operation, error.name]));
        makeLate();
        expect(await set(cache)).toBe(false);
        expect(errors).toEqual([['set', 'TierTimeoutError']]);
        expect(cache.getMetrics().errors).toBe(1);
      }),
    );
  });
});
