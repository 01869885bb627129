import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { FaultProxy } from '../../../../test/support/fault-proxy.js';
import { Gate } from '../../../../test/support/gate.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import { RedisServer } from '../../../../test/support/redis-server.js';
import type { DistributedCacheOptions } from '../config/index.js';
import { RedisTier } from '../redis/index.js';
import type { AsyncCache } from './async-cache.js';
import type { CacheEnvironment } from './distributed-cache.js';

/** Caches of the namespace `users`, each of a process of its own for Redis, connected. */
async function pods(
  count: number,
  options: DistributedCacheOptions,
  environment: CacheEnvironment = {},
): Promise<AsyncCache[]> {
  const caches = Array.from({ length: count }, () => cacheForTest(options, environment));
  await Promise.all(caches.map((cache) => cache.connect()));
  return caches.map((cache) => cache.getCache('users'));
}

function sharedRedis(): DistributedCacheOptions {
  const { url, keyPrefix } = redisForTest();
  return { redis: { url }, keyPrefix };
}

/** A load that has begun in `cache` and ends when the gate opens. */
async function heldLoad(cache: AsyncCache, value: unknown): Promise<{ gate: Gate; loading: Promise<unknown> }> {
  const [started, gate] = [new Gate(), new Gate()];
  const loading = cache.getOrSet('key', async () => {
    started.open();
    await gate.opened;
    return value;
  });
  await started.opened;
  return { gate, loading };
}

describe('one load per key per cluster', () => {
  it('runs one loader for 1000 callers in eight processes, however slow it is', async () => {
    const leaseMs = 500;
    const caches = await pods(8, sharedRedis(), { leaseMs });
    const load = vi.fn(async () => {
      await new Promise((resolve) => setTimeout(resolve, 3 * leaseMs));
      return 'Ada';
    });
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => caches[index % 8]!.getOrSet('key', load)),
    );
    expect(new Set(answers)).toEqual(new Set(['Ada']));
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('lets the next in line load when the first one fails, whose error reaches only its own callers', async () => {
    const [podA, podB] = (await pods(2, sharedRedis())) as [AsyncCache, AsyncCache];
    const [started, gate] = [new Gate(), new Gate()];
    const error = new Error('no database');
    const failing = podA.getOrSet('key', async () => {
      started.open();
      await gate.opened;
      throw error;
    });
    await started.opened;
    const waiting = podB.getOrSet('key', async () => 'from B');
    gate.open();
    await expect(failing).rejects.toBe(error);
    expect(await waiting).toBe('from B');
  });

  it('lets the next in line load when the process that was loading is gone', async () => {
    const server = await RedisServer.start();
    onTestFinished(() => server.stop());
    const proxy = await FaultProxy.start(server.port);
    onTestFinished(() => proxy.close());
    const [podA] = (await pods(1, { redis: { host: '127.0.0.1', port: proxy.port } }, { leaseMs: 200 })) as [
      AsyncCache,
    ];
    const [podB] = (await pods(1, { redis: { url: server.url } }, { leaseMs: 200 })) as [AsyncCache];
    const { gate, loading } = await heldLoad(podA, 'from A');
    await proxy.refuseNew(true);
    proxy.cut();
    expect(await podB.getOrSet('key', async () => 'from B')).toBe('from B');
    gate.open();
    expect(await loading).toBe('from A');
    expect(await podB.get('key')).toBe('from B');
  });

  it('serves a stale value while another process loads', async () => {
    const options: DistributedCacheOptions = { ...sharedRedis(), namespaces: { users: { grace: '1h' } } };
    const [podA, podB] = (await pods(2, options)) as [AsyncCache, AsyncCache];
    await podA.set('key', 'old', '20ms');
    await vi.waitFor(async () => expect(await podB.lookup('key')).toMatchObject({ state: 'stale' }));
    const { gate, loading } = await heldLoad(podA, 'new');
    const load = vi.fn(async () => 'not asked');
    expect(await podB.getOrSet('key', load)).toBe('old');
    expect(load).not.toHaveBeenCalled();
    gate.open();
    expect(await loading).toBe('new');
    await vi.waitFor(async () => expect(await podB.get('key')).toBe('new'));
  });

  it('waits for no load when Redis goes away', async () => {
    const server = await RedisServer.start();
    onTestFinished(() => server.stop());
    const [podA, podB] = (await pods(2, { redis: { url: server.url } })) as [AsyncCache, AsyncCache];
    const { gate, loading } = await heldLoad(podA, 'from A');
    const waiting = podB.getOrSet('key', async () => 'from B');
    await server.killHard();
    expect(await waiting).toBe('from B');
    gate.open();
    expect(await loading).toBe('from A');
  });
});

describe('a lease that was taken while its taker could not hear of it', () => {
  /** Two processes, the first of which loses what Redis answers when it takes its next lease. */
  async function losingTheNextLease(): Promise<{ podA: AsyncCache; podB: AsyncCache; proxy: FaultProxy; taken: Gate }> {
    const server = await RedisServer.start();
    onTestFinished(() => server.stop());
    const proxy = await FaultProxy.start(server.port);
    onTestFinished(() => proxy.close());
    const long = { leaseMs: 60_000 };
    const [podA] = (await pods(1, { redis: { host: proxy.host, port: proxy.port } }, long)) as [AsyncCache];
    const [podB] = (await pods(1, { redis: { url: server.url } }, long)) as [AsyncCache];
    const taken = new Gate();
    vi.spyOn(RedisTier.prototype, 'take').mockImplementationOnce(async function (this: RedisTier, ...asked) {
      proxy.stall('down');
      const taking = this.take(...asked); // the mock was for one call
      await vi.waitFor(async () => expect(await server.command('EXISTS', asked[0].leaseKey)).toBe(1));
      taken.open();
      return taking;
    });
    return { podA, podB, proxy, taken };
  }

  it('is given back when the connection was lost before the answer', async () => {
    const { podA, podB, proxy, taken } = await losingTheNextLease();
    const loading = podA.getOrSet('key', async () => 'from A');
    await taken.opened;
    proxy.cut();
    expect(await loading).toBe('from A');
    proxy.resume();
    expect(await podB.getOrSet('key', async () => 'from B')).toBe('from B');
  });

  it('is given back when the answer came too late', async () => {
    const { podA, podB, proxy, taken } = await losingTheNextLease();
    const loading = podA.getOrSet('key', async () => 'from A');
    await taken.opened;
    expect(await loading).toBe('from A');
    proxy.resume();
    expect(await podB.getOrSet('key', async () => 'from B')).toBe('from B');
  });
});

describe('no resurrection', () => {
  it.each<[string, (cache: AsyncCache) => Promise<unknown>, unknown]>([
    ['a deletion', (cache) => cache.delete('key'), undefined],
    ['a set', (cache) => cache.set('key', 'set'), 'set'],
    ['a clear', (cache) => cache.clear(), undefined],
    ['a deletion of many', (cache) => cache.deleteMany(['other', 'key']), undefined],
  ])(
    'does not store, in any tier of any process, a load that began before %s elsewhere',
    async (_what, change, after) => {
      const [podA, podB, podC] = (await pods(3, sharedRedis())) as [AsyncCache, AsyncCache, AsyncCache];
      const { gate, loading } = await heldLoad(podA, 'old');
      await change(podB);
      gate.open();
      expect(await loading).toBe('old');
      for (const pod of [podA, podB, podC]) {
        expect(await pod.get('key')).toBe(after);
      }
    },
  );

  it('does not store a load that a deletion by hand has overtaken', async () => {
    const redis = redisForTest();
    const [podA] = (await pods(1, { redis: { url: redis.url }, keyPrefix: redis.keyPrefix })) as [AsyncCache];
    await podA.set('key', 'older', '1h');
    await redis.admin.del(`${redis.keyPrefix}:users:key`);
    await vi.waitFor(async () => expect(await podA.get('key')).toBeUndefined(), { timeout: 10_000 });
    const { gate, loading } = await heldLoad(podA, 'old');
    await redis.admin.set(`${redis.keyPrefix}:users:key`, 'by hand');
    await redis.admin.del(`${redis.keyPrefix}:users:key`);
    await podA.healthCheck();
    gate.open();
    expect(await loading).toBe('old');
    expect(await podA.get('key')).toBeUndefined();
  });
});
