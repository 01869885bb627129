import { describe, expect, it } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { ownRedis, sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions } from '../config/index.js';
import type { DistributedCache } from './distributed-cache.js';

function deletionsOf({ events }: DistributedCache): (readonly [key: string, existed: boolean])[] {
  const emitted: (readonly [key: string, existed: boolean])[] = [];
  events.on('delete', ({ key, existed }) => emitted.push([key, existed]));
  return emitted;
}

describe.each<[string, () => DistributedCacheOptions]>([
  ['with Redis', sharedRedis],
  ['with Redis alone', () => ({ ...sharedRedis(), local: false })],
  ['on L1 alone', () => ({ redis: false })],
])('events of batches, %s', (_name, options) => {
  it('deleteMany emits for each key, once, whether the key existed', async () => {
    const all = cacheForTest(options());
    const cache = all.getCache('users');
    const emitted = deletionsOf(all);
    await cache.set('there', 1);
    expect(await cache.deleteMany(['never', 'there', 'never', 'neither'])).toBe(1);
    expect(emitted).toEqual([
      ['never', false],
      ['there', true],
      ['neither', false],
    ]);
    expect(all.getMetrics()[0]).toMatchObject({ deletes: 3 });
  });

  it('getMany and setMany emit the outcome of each key', async () => {
    const all = cacheForTest(options());
    const cache = all.getCache('users');
    const emitted: unknown[] = [];
    all.events.on('set', ({ key }) => emitted.push(['set', key]));
    all.events.on('hit', ({ key }) => emitted.push(['hit', key]));
    all.events.on('miss', ({ key }) => emitted.push(['miss', key]));
    all.events.on('valueRefused', ({ key }) => emitted.push(['refused', key]));
    await cache.setMany([
      ['a', 1],
      ['function', () => 1],
      ['b', 2],
    ]);
    await cache.getMany(['a', 'x', 'b']);
    expect(emitted).toEqual([
      ['refused', 'function'],
      ['set', 'a'],
      ['set', 'b'],
      ['hit', 'a'],
      ['miss', 'x'],
      ['hit', 'b'],
    ]);
  });
});

describe('the deletion of keys that only Redis has', () => {
  it('emits for each of 600 keys whether it existed', async () => {
    const options = sharedRedis();
    const [podA, podB] = [cacheForTest(options), cacheForTest(options)];
    const keys = Array.from({ length: 600 }, (_, index) => `key:${index}`);
    const there = keys.filter((_key, index) => index % 3 === 0);
    await podA.getCache('users').setMany(there.map((key) => [key, 1] as const));
    const emitted = deletionsOf(podB);
    expect(await podB.getCache('users').deleteMany(keys)).toBe(there.length);
    expect(emitted).toEqual(keys.map((key, index) => [key, index % 3 === 0]));
  });

  it('emits the same with a full Redis', async () => {
    const server = await ownRedis();
    const options = { redis: { url: server.url } };
    const [podA, podB] = [cacheForTest(options), cacheForTest(options)];
    await podA.getCache('users').set('there', 1);
    await podB.connect();
    await server.command('CONFIG', 'SET', 'maxmemory', '1mb');
    const emitted = deletionsOf(podB);
    expect(await podB.getCache('users').deleteMany(['never', 'there'])).toBe(1);
    expect(emitted).toEqual([
      ['never', false],
      ['there', true],
    ]);
  });
});
