import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import { cacheForTest, fillJournal } from '../../../../test/support/cache-for-test.js';
import { channelOf, untilInvalidation } from '../../../../test/support/channel-for-test.js';
import { proxyTo, redisForTest, sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { CacheEventMap, ProcessMetricsWire } from '../events/index.js';
import { FakeClock } from '../testing/fake-clock.js';
import type { DistributedCache } from './distributed-cache.js';

const wireOf = (cache: DistributedCache): ProcessMetricsWire => cache.getProcessMetrics().toJSON();

describe('the metrics of a process', () => {
  it('count the messages about changes by others, by what has changed; its own changes are none', async () => {
    const options = sharedRedis();
    const [first, second] = [cacheForTest(options), cacheForTest(options)] as const;
    await Promise.all([first.connect(), second.connect()]);
    const users = second.getCache('users');
    await first.getCache('users').set('a', 1);
    await first.getCache('users').delete('a');
    await first.getCache('users').invalidateTags('tag');
    await first.getCache('users').clear();
    await vi.waitFor(() => {
      const received = wireOf(second); // the first stamps of tag and namespace are messages too
      expect(received.invalidations_received_tag).toBeGreaterThanOrEqual(1);
      expect(received.invalidations_received_namespace).toBeGreaterThanOrEqual(1);
      expect(received.invalidations_received_key).toBeGreaterThanOrEqual(2);
      expect(received.invalidations_received_all).toBe(0);
    });
    expect(wireOf(first)).toMatchObject({ invalidations_received_key: 0, invalidations_received_namespace: 0 });
    await users.set('own', 1);
    expect(wireOf(second)).toMatchObject({ invalidation_live: 1, journal_entries: 0, redis_nodes_live: 1 });
    expectTypeOf(first.getProcessMetrics()).toHaveProperty('values');
  });

  it('say nothing of Redis before its first use, and without one', async () => {
    expect(wireOf(cacheForTest(sharedRedis()))).toMatchObject({ redis_nodes_down: 0, redis_nodes_live: 0 });
    expect(wireOf(cacheForTest(sharedRedis()))).not.toHaveProperty('invalidation_live');
    expect(Object.keys(wireOf(cacheForTest({ redis: false })))).toEqual(['version', 'epochs', 'local_limit_bytes']);
    expect(wireOf(cacheForTest({ redis: false, local: false }))).not.toHaveProperty('local_limit_bytes');
  });

  it('show an outage: no server, an epoch after it, and the deletions that wait for Redis', async () => {
    const { port, keyPrefix } = redisForTest();
    const proxy = await proxyTo({ port });
    const cache = cacheForTest({ redis: { host: '127.0.0.1', port: proxy.port }, keyPrefix, deadlineMs: 100 });
    await cache.connect();
    const epochs = wireOf(cache).epochs ?? 0;
    await proxy.refuseNew(true);
    proxy.cut();
    await vi.waitFor(() => expect(wireOf(cache)).toMatchObject({ redis_nodes_down: 1, redis_nodes_live: 0 }));
    await cache.getCache('users').delete('key');
    expect(wireOf(cache)).toMatchObject({ journal_entries: 1, journal_overflows: 0, invalidation_live: 0 });
    await proxy.refuseNew(false);
    await vi.waitFor(
      () => expect(wireOf(cache)).toMatchObject({ redis_nodes_live: 1, journal_entries: 0, invalidation_live: 1 }),
      { timeout: 8000 },
    );
    expect(wireOf(cache).epochs).toBeGreaterThan(epochs);
  });

  it('count and tell a journal that overflows', async () => {
    const cache = cacheForTest({ redis: { host: '127.0.0.1', port: 1 } });
    const told = vi.fn();
    cache.events.on('journalFull', told);
    await cache.connect();
    fillJournal(cache, 'users', 'keys');
    expect(wireOf(cache)).toMatchObject({ journal_overflows: 0, journal_entries: 100_000 });
    await cache.getCache('users').delete('key');
    expect(wireOf(cache)).toMatchObject({ journal_overflows: 1, journal_entries: 1 });
    expect(told.mock.calls).toEqual([[{ namespace: 'users' }]]);
  });
});

describe('the operations in Redis', () => {
  it('are told by purpose and outcome, and measured only while there is a listener', async () => {
    const cache = cacheForTest(sharedRedis());
    const told: CacheEventMap['redisOperation'][] = [];
    await cache.connect();
    const users = cache.getCache('users');
    const stop = cache.events.on('redisOperation', (event) => void told.push(event));
    await users.getOrSet('loaded', async () => 1);
    await users.set('set', 1, { tags: ['tag'] });
    await users.get('missing');
    await users.getMany(['missing', 'other']);
    await users.delete('set');
    await users.invalidateTags('tag');
    await users.clear();
    stop();
    await users.get('unobserved');
    const purposes = new Set(told.map(({ operation }) => operation));
    expect([...purposes].toSorted()).toEqual(['clear', 'delete', 'fill', 'get', 'getMany', 'lease', 'set', 'tags']);
    expect(told.every(({ outcome, durationMs }) => outcome === 'ok' && durationMs >= 0)).toBe(true);
    expectTypeOf<CacheEventMap['redisOperation']['outcome']>().toEqualTypeOf<'ok' | 'timeout' | 'refused' | 'error'>();
  });

  it('tell a failure once, and nothing of an operation that was not sent', async () => {
    const { port, keyPrefix } = redisForTest();
    const proxy = await proxyTo({ port });
    const cache = cacheForTest({ redis: { host: '127.0.0.1', port: proxy.port }, keyPrefix, deadlineMs: 100 });
    const told: CacheEventMap['redisOperation'][] = [];
    await cache.getCache('users').get('first');
    cache.events.on('redisOperation', (event) => void told.push(event));
    proxy.stall();
    await cache.getCache('users').get('key');
    await cache.getCache('users').get('key');
    const outcomes = told.filter(({ operation }) => operation === 'get').map(({ outcome }) => outcome);
    expect(outcomes).toEqual([expect.stringMatching(/timeout|error/)]); // the heartbeat may find the silence first
  });
});

it('tells the most time that a message took, at each heartbeat', async () => {
  const cache = cacheForTest({ ...sharedRedis(), heartbeatMs: 200 });
  const lags: number[] = [];
  cache.events.on('invalidationLag', ({ lagMs }) => void lags.push(lagMs));
  await cache.connect();
  await vi.waitFor(() => expect(lags.length).toBeGreaterThan(1), { timeout: 8000 });
  expect(lags.every((lagMs) => lagMs > 0 && lagMs < 5000)).toBe(true);
});

describe('the counters of a namespace', () => {
  it('count the entries that leave L1, by reason', async () => {
    const clock = new FakeClock();
    const cache = cacheForTest({ redis: false, local: { maxEntries: 2 } }, { clock });
    const users = cache.getCache('users');
    for (const key of ['a', 'b', 'c']) {
      await users.set(key, key, '1s');
    }
    await users.delete('b');
    clock.advance(1001);
    await users.get('c');
    await users.set('d', 1);
    await users.clear();
    await users.get('d');
    expect(users.getMetrics()).toMatchObject({
      evictionsCapacity: 1,
      evictionsInvalidated: 1,
      evictionsExpired: 1,
      evictionsEpoch: 1,
      localEntries: 0,
      localBytes: 0,
    });
    await users.set('e', 'x'.repeat(1000));
    expect(users.getMetrics().localEntries).toBe(1);
    expect(users.getMetrics().localBytes).toBe(cacheBytes(cache));
  });

  it('count the renewals of values, early and of stale ones', async () => {
    const clock = new FakeClock();
    const cache = cacheForTest({ redis: false }, { clock, random: Math.random });
    const users = cache.getCache('users');
    const options = { ttl: '10s', grace: '10s', refreshAhead: 0.5 } as const;
    await users.getOrSet('key', async () => 1, options);
    clock.advance(9000);
    await users.getOrSet('key', async () => 2, options);
    await vi.waitFor(() => expect(users.getMetrics()).toMatchObject({ refreshesEarly: 1, loads: 2 }));
    clock.advance(11_000);
    await users.getOrSet('key', async () => 3, options);
    expect(users.getMetrics()).toMatchObject({ refreshesEarly: 1, refreshesStale: 1, loads: 3 });
  });

  it('count refused values by reason, and what compression saves', async () => {
    const cache = cacheForTest({ ...sharedRedis(), maxValueBytes: 100_000 });
    const users = cache.getCache('users');
    await users.set('function', () => 1);
    await users.set('large', 'x'.repeat(200_000));
    await users.set('option', 1, { ttl: () => -1 });
    class Account {
      #balance = 1;
      get balance(): number {
        return this.#balance;
      }
    }
    await users.set('class', new Account());
    expect(users.getMetrics()).toMatchObject({
      refusedUnserializable: 1,
      refusedTooLarge: 1,
      refusedOption: 1,
      refusedClass: 1,
      refusedTooDeep: 0,
      storedBytes: 0,
    });
    await users.set('compressed', 'word '.repeat(2000));
    const { storedBytes, rawBytes } = users.getMetrics();
    expect(rawBytes).toBeGreaterThanOrEqual(10_000);
    expect(storedBytes).toBeLessThan(rawBytes / 10);
    expect(storedBytes).toBeGreaterThan(0);
  });
});

function cacheBytes(cache: DistributedCache): number {
  return cache.getMetrics().reduce((sum, { localBytes }) => sum + localBytes, 0);
}

it('counts the time in which L1 is passed over although Redis serves', async () => {
  const cache = cacheForTest(sharedRedis());
  await cache.connect();
  await untilInvalidation(cache, 'live');
  expect(wireOf(cache).distrusted_seconds).toBe(0);
  channelOf(cache).subscriber.stream.destroy();
  await untilInvalidation(cache, 'lost');
  await untilInvalidation(cache, 'live');
  const { distrusted_seconds: seconds, epochs } = wireOf(cache);
  expect(seconds).toBeGreaterThan(0);
  expect(epochs).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(wireOf(cache).distrusted_seconds).toBe(seconds);
});
