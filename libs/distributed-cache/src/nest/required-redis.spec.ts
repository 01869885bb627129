import { expect, expectTypeOf, it, vi } from 'vitest';
import { freePort } from '../../../../test/support/free-port.js';
import { nestForTest } from '../../../../test/support/nest-for-test.js';
import { ownRedis, redisForTest } from '../../../../test/support/redis-for-test.js';
import { watchTimers } from '../../../../test/support/watch-leaks.js';
import { createDistributedCache, DistributedCache, RedisRequiredError } from '../core/index.js';
import type { DistributedCacheOptions } from '../core/index.js';

it("requireRedis: 'at-start' fails the start when Redis can't be used, with the address, its origin and the cause", async () => {
  const port = await freePort();
  const cache: DistributedCacheOptions = { redis: { host: '127.0.0.1', port }, requireRedis: 'at-start' };
  const timersLeft = watchTimers();
  const starting = nestForTest({ cache });
  await expect(starting).rejects.toBeInstanceOf(RedisRequiredError);
  await expect(starting).rejects.toThrow(
    `redis://127.0.0.1:${port}/0 (redis.host): Redis can't be used (ECONNREFUSED) and is required`,
  );
  await expect(createDistributedCache(cache)).rejects.toMatchObject({ code: 'CACHE_REDIS_REQUIRED' });
  await vi.waitFor(() => expect(timersLeft()).toEqual([]), { timeout: 5000, interval: 50 });
});

it("requireRedis: 'at-start' lets the application start where Redis answers; later it is as true", async () => {
  const server = await ownRedis();
  const module = await nestForTest({ cache: { redis: { url: server.url }, requireRedis: 'at-start' } });
  const cache = module.get(DistributedCache);
  expect(await cache.healthCheck()).toMatchObject({ status: 'up' });
  await server.killHard();
  expect(await cache.healthCheck()).toMatchObject({ status: 'down' });
});

it('requireRedis: true, and false, never fail the start', async () => {
  const redis = { host: '127.0.0.1', port: await freePort() };
  for (const requireRedis of [true, false]) {
    const module = await nestForTest({ cache: { redis, requireRedis } });
    expect(
      await module
        .get(DistributedCache)
        .getCache('users')
        .getOrSet('key', () => 'loaded'),
    ).toBe('loaded');
  }
  const disabled = await nestForTest({
    cache: { redis, requireRedis: 'at-start', enabled: false, keyPrefix: redisForTest().keyPrefix },
  });
  expect(await disabled.get(DistributedCache).healthCheck()).toMatchObject({ status: 'up' });
  expectTypeOf<DistributedCacheOptions['requireRedis']>().toEqualTypeOf<boolean | 'at-start' | undefined>();
});
