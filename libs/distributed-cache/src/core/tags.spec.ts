import { describe, expect, it, vi } from 'vitest';
import { cachesForTest } from '../../../../test/support/cache-for-test.js';
import { Gate } from '../../../../test/support/gate.js';
import { redisForTest, sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions } from '../config/index.js';
import type { AsyncCache } from './async-cache.js';
import { Flights } from './flights.js';

describe.each<[string, () => DistributedCacheOptions]>([
  ['with Redis', sharedRedis],
  ['on L1 alone', () => ({ redis: false })],
])('tags %s', (_name, options) => {
  it('turn every entry that carries them into a miss, and no other entry', async () => {
    const [cache] = (await cachesForTest(1, options())) as [AsyncCache];
    await cache.set('1', 'a', { tags: ['author:7', 'shelf {1} %'] });
    await cache.getOrSet('2', async () => 'b', { tags: ['author:7'] });
    await cache.set('3', 'c', { tags: ['author:8'] });
    await cache.set('4', 'd');
    await cache.invalidateTags('author:7');
    expect(await cache.getMany(['1', '2', '3', '4'])).toEqual([undefined, undefined, 'c', 'd']);
    await cache.set('1', 'again', { tags: ['author:7', 'shelf {1} %'] });
    expect(await cache.get('1')).toBe('again');
    await cache.invalidateTags('shelf {1} %');
    expect(await cache.get('1')).toBeUndefined();
  });

  it('count in the same way when a loader adds them', async () => {
    const [cache] = (await cachesForTest(1, options())) as [AsyncCache];
    await cache.getOrSet('1', async (context) => {
      context.addTags('author:7');
      return 'a';
    });
    expect(await cache.get('1')).toBe('a');
    await cache.invalidateTags('author:7');
    expect(await cache.get('1')).toBeUndefined();
  });

  it.each([['options'], ['loader']])(
    'among the %s that are invalidated during a load keep its result out of every tier',
    async (giver) => {
      const [cache] = (await cachesForTest(1, options())) as [AsyncCache];
      await cache.invalidateTags('author:7');
      const [started, gate] = [new Gate(), new Gate()];
      const loading = cache.getOrSet(
        '1',
        async (context) => {
          started.open();
          await gate.opened;
          if (giver === 'loader') {
            context.addTags('author:7');
          }
          return 'old';
        },
        giver === 'options' ? { tags: ['author:7'] } : {},
      );
      await started.opened;
      await cache.invalidateTags('author:7');
      gate.open();
      expect(await loading).toBe('old');
      expect(await cache.get('1')).toBeUndefined();
    },
  );
});

describe('more tags than L1 remembers', () => {
  it.each([
    [18_000, 1, 1],
    [24_000, 0.4, 0.95],
  ])('cost some entries of L1, not all of them: %i tags in turn', async (count, least, most) => {
    const [cache] = (await cachesForTest(1, { redis: false })) as [AsyncCache];
    let loads = 0;
    for (let round = 0; round < 4; round++) {
      loads = 0;
      for (let index = 0; index < count; index++) {
        await cache.getOrSet(`key${index}`, async () => ++loads, { tags: [`tag${index}`] });
      }
    }
    const hitRatio = 1 - loads / count;
    expect(hitRatio).toBeGreaterThanOrEqual(least);
    expect(hitRatio).toBeLessThanOrEqual(most);
    expect(cache.getMetrics().tagsForgotten > 0).toBe(most < 1);
  });
});

it('an entry is a miss when the stamp of its tag is missing', async () => {
  const redis = redisForTest();
  const [podA] = (await cachesForTest(1, { redis: { url: redis.url }, keyPrefix: redis.keyPrefix })) as [AsyncCache];
  await podA.set('1', 'a', { tags: ['author:7'] });
  await redis.admin.del(`${redis.keyPrefix}:users:#tag:author:7`);
  await vi.waitFor(async () => expect(await podA.get('1')).toBeUndefined());
});

it('an invalidated tag looks at the loads under way only, not at each key of a batch write', async () => {
  const flights = new Flights();
  const write = flights.beginWrite('1');
  const tagsOfWrite = vi.spyOn(write, 'tags', 'get');
  const load = flights.beginLoad('2', () => new Promise(() => {}));
  vi.spyOn(load, 'tags', 'get').mockReturnValue(['author:7']);
  expect(flights.onTag('author:7', true)).toBe(true);
  expect(load.isTainted).toBe(true);
  expect(tagsOfWrite).not.toHaveBeenCalled();
  expect(flights.onTag('author:7', true)).toBe(false); // a tainted load is no longer under way
});
