import { describe, expect, it, vi } from 'vitest';
import { cacheForTest, cachesForTest, untilLocal, fillJournal } from '../../../../test/support/cache-for-test.js';
import { ownRedis, proxyTo, redisForTest, sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { AsyncCache } from './async-cache.js';

describe('L1 in two processes', () => {
  it.each<[string, (cache: AsyncCache) => Promise<unknown>, unknown]>([
    ['deletes', (cache) => cache.delete('key'), undefined],
    ['sets', (cache) => cache.set('key', 'new'), 'new'],
    ['clears', (cache) => cache.clear(), undefined],
  ])('drops the entry that another process %s', async (_what, change, expected) => {
    const options = sharedRedis();
    const [podA, podB] = (await cachesForTest(2, options)) as [AsyncCache, AsyncCache];
    await podA.set('key', 'old');
    await untilLocal(podB, 'key');
    await change(podA);
    await vi.waitFor(async () => expect(await podB.get('key')).toBe(expected));
    expect(await podA.get('key')).toBe(expected);
    const [later] = (await cachesForTest(1, options)) as [AsyncCache];
    expect(await later.get('key')).toBe(expected);
  });

  it('drops the entry that another client changes', async () => {
    const options = sharedRedis();
    const { admin } = redisForTest();
    const [cache] = (await cachesForTest(1, options)) as [AsyncCache];
    await cache.set('user:%1 {x}', 'old');
    await untilLocal(cache, 'user:%1 {x}');
    const [name] = await admin.keys(`${options.keyPrefix}:users:user*`);
    await admin.del(name!);
    await vi.waitFor(async () => expect(await cache.get('user:%1 {x}')).toBeUndefined());
  });

  it('keeps its entry when its own process writes the key', async () => {
    const [cache] = (await cachesForTest(1, sharedRedis())) as [AsyncCache];
    await cache.set('key', 'mine');
    await cache.getOrSet('other', async () => 'mine too');
    await cache.healthCheck(); // a late message would have arrived by now
    expect(await cache.lookup('key')).toMatchObject({ tier: 'local' });
    expect(await cache.lookup('other')).toMatchObject({ tier: 'local' });
  });

  it('tracks changes again after listening has taken longer than the deadline', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const pod = cacheForTest({ redis: { host: '127.0.0.1', port: proxy.port } });
    const cache = pod.getCache('users');
    await cache.set('key', 'old');
    for (const delayMs of [90, 120, 60]) {
      proxy.delay(delayMs); // each step of listening takes twice as long; all of them together exceed the deadline
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await vi.waitFor(async () => expect((await pod.healthCheck()).redis?.invalidation).not.toBe('live'));
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    }
    proxy.delay(0);
    await vi.waitFor(async () => expect((await pod.healthCheck()).redis?.invalidation).toBe('live'), { timeout: 5000 });
    await cache.set('again', 1);
    await untilLocal(cache, 'again');
    await server.command('DEL', 'cache:users:again');
    await vi.waitFor(async () => expect(await cache.get('again')).toBeUndefined());
  });
});

it('too many deletions of an outage become one clear of their namespace', async () => {
  const server = await ownRedis();
  const pod = cacheForTest({ redis: { url: server.url } });
  const cache = pod.getCache('users');
  await cache.set('key:0', 'old');
  await cache.set('never deleted', 'old');
  server.freeze();
  await new Promise((resolve) => pod.events.on('redisConnectionFailed', resolve));
  fillJournal(pod, 'users', 'keys');
  await cache.delete('key:0');
  server.thaw();
  await vi.waitFor(async () => expect(await pod.healthCheck()).toMatchObject({ status: 'up' }), { timeout: 5000 });
  expect(await cache.getMany(['key:0', 'never deleted'])).toEqual([undefined, undefined]);
});
