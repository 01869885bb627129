import { expect, it, vi } from 'vitest';
import type { AsyncCache, DistributedCache } from 'nestjs-distributed-cache/core';
import { redisStreams, startRelay } from 'nestjs-distributed-cache/relay';
import { cacheForTest, untilLocal } from '../support/cache-for-test.js';
import { ownRedis, redisForTest } from '../support/redis-for-test.js';
import { proxyTo } from '../support/redis-for-test.js';

it('a change in one region is an invalidation in the other, in every process, and never comes back', async () => {
  const regions = await twoRegions();
  const { eu, us } = regions;
  await us.cache.set('a', 'old');
  await untilLocal(us.other, 'a');
  await eu.cache.delete('a');
  await vi.waitFor(async () => expect(await us.other.get('a')).toBeUndefined(), { timeout: 5000 });
});

interface Region {
  readonly cache: AsyncCache;
  readonly other: AsyncCache;
  readonly caches: readonly DistributedCache[];
}

/** Two regions with a Redis of their own, two processes each, 40 ms apart. */
async function twoRegions(): Promise<{ eu: Region; us: Region }> {
  const { port, keyPrefix } = redisForTest();
  const far = await ownRedis();
  const [toEu, toUs] = await Promise.all([proxyTo({ port }), proxyTo(far)]);
  toEu.delay(20);
  toUs.delay(20);
  const make = (region: string, redisPort: number): DistributedCache[] =>
    [0, 1].map(() => cacheForTest({ region, keyPrefix, redis: { host: '127.0.0.1', port: redisPort } }));
  const [eu, us] = [make('eu', port), make('us', far.port)];
  await Promise.all([...eu, ...us].map((cache) => cache.connect()));
  startRelay(eu[0]!, { us: redisStreams({ redis: { host: '127.0.0.1', port: toUs.port } }) });
  startRelay(us[0]!, { eu: redisStreams({ redis: { host: '127.0.0.1', port: toEu.port } }) });
  for (const cache of [...eu, ...us]) cache.events.on('relayGap', (e) => console.log('gap', e));
  for (const cache of [...eu, ...us]) cache.events.on('relayFailed', (e) => console.log('failed', e));
  for (const cache of [...eu, ...us]) cache.events.on('relayApplied', (e) => console.log('applied', e));
  const of = (caches: DistributedCache[]): Region => ({
    cache: caches[0]!.getCache('users'),
    other: caches[1]!.getCache('users'),
    caches,
  });
  return { eu: of(eu), us: of(us) };
}
