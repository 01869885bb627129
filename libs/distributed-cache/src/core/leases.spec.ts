import { describe, expect, it, vi } from 'vitest';
import { cachesForTest } from '../../../../test/support/cache-for-test.js';
import { FaultProxy } from '../../../../test/support/fault-proxy.js';
import { Gate, heldLoad } from '../../../../test/support/gate.js';
import { ownRedis, proxyTo, redisForTest, sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions } from '../config/index.js';
import { RedisTier } from '../redis/index.js';
import type { AsyncCache } from './async-cache.js';

describe('the load of a key in several processes', () => {
  it('runs once for 1000 callers in eight processes, however long it takes', async () => {
    const leaseMs = 500;
    const caches = await cachesForTest(8, sharedRedis(), { leaseMs });
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

  it('passes to the next process when the first load fails; only the callers of that load get its error', async () => {
    const [podA, podB] = (await cachesForTest(2, sharedRedis())) as [AsyncCache, AsyncCache];
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

  it('passes to the next process when the loading process has died', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const [podA] = (await cachesForTest(1, { redis: { host: '127.0.0.1', port: proxy.port } }, { leaseMs: 200 })) as [
      AsyncCache,
    ];
    const [podB] = (await cachesForTest(1, { redis: { url: server.url } }, { leaseMs: 200 })) as [AsyncCache];
    const { answer, release } = await heldLoad(podA, 'from A');
    await proxy.refuseNew(true);
    proxy.cut();
    expect(await podB.getOrSet('key', async () => 'from B')).toBe('from B');
    release();
    expect(await answer).toBe('from A');
    expect(await podB.get('key')).toBe('from B');
  });

  it('does not delay a caller where a stale value exists', async () => {
    // A process that gets no answer about the lease would return the stale value, and run no loader.
    const options: DistributedCacheOptions = {
      ...sharedRedis(),
      namespaces: { users: { grace: '1h' } },
      deadlineMs: 10_000,
    };
    const [podA, podB] = (await cachesForTest(2, options)) as [AsyncCache, AsyncCache];
    await podA.set('key', 'old', '20ms');
    for (const pod of [podA, podB]) {
      // Each process has an estimate of its own of the server's clock, which is less exact on a busy machine.
      await vi.waitFor(async () => expect(await pod.lookup('key')).toMatchObject({ state: 'stale' }));
    }
    const { answer, release } = await heldLoad(podA, 'new');
    const load = vi.fn(async () => 'not asked');
    expect(await podB.getOrSet('key', load)).toBe('old');
    expect(load).not.toHaveBeenCalled();
    release();
    expect(await answer).toBe('new');
    await vi.waitFor(async () => expect(await podB.get('key')).toBe('new'));
  });

  it('is not awaited by other processes when Redis becomes unavailable', async () => {
    const server = await ownRedis();
    const [podA, podB] = (await cachesForTest(2, { redis: { url: server.url } })) as [AsyncCache, AsyncCache];
    const { answer, release } = await heldLoad(podA, 'from A');
    const waiting = podB.getOrSet('key', async () => 'from B');
    await server.killHard();
    expect(await waiting).toBe('from B');
    release();
    expect(await answer).toBe('from A');
  });
});

describe('a lease whose process did not receive the answer', () => {
  /** Two processes. The first one loses the answer of Redis to its next lease. */
  async function losingTheNextLease(): Promise<{ podA: AsyncCache; podB: AsyncCache; proxy: FaultProxy; taken: Gate }> {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const long = { leaseMs: 60_000 };
    const [podA] = (await cachesForTest(1, { redis: { host: proxy.host, port: proxy.port } }, long)) as [AsyncCache];
    const [podB] = (await cachesForTest(1, { redis: { url: server.url } }, long)) as [AsyncCache];
    const taken = new Gate();
    vi.spyOn(RedisTier.prototype, 'take').mockImplementationOnce(async function (this: RedisTier, ...asked) {
      proxy.stall('down');
      const taking = this.take(...asked); // the mock covers one call only
      await vi.waitFor(async () => expect(await server.command('EXISTS', asked[0].leaseKey)).toBe(1));
      taken.open();
      return taking;
    });
    return { podA, podB, proxy, taken };
  }

  it('is given back when the connection is lost before the answer', async () => {
    const { podA, podB, proxy, taken } = await losingTheNextLease();
    const loading = podA.getOrSet('key', async () => 'from A');
    await taken.opened;
    proxy.cut();
    expect(await loading).toBe('from A');
    proxy.resume();
    expect(await podB.getOrSet('key', async () => 'from B')).toBe('from B');
  });

  it('is given back when the answer arrives after the deadline', async () => {
    const { podA, podB, proxy, taken } = await losingTheNextLease();
    const loading = podA.getOrSet('key', async () => 'from A');
    await taken.opened;
    expect(await loading).toBe('from A');
    proxy.resume();
    expect(await podB.getOrSet('key', async () => 'from B')).toBe('from B');
  });
});

it('a load that began before a deletion by another client is not stored', async () => {
  const redis = redisForTest();
  const [podA] = (await cachesForTest(1, { redis: { url: redis.url }, keyPrefix: redis.keyPrefix })) as [AsyncCache];
  await podA.set('key', 'older', '1h');
  await redis.admin.del(`${redis.keyPrefix}:users:key`);
  await vi.waitFor(async () => expect(await podA.get('key')).toBeUndefined(), { timeout: 10_000 });
  const { answer, release } = await heldLoad(podA, 'old');
  await redis.admin.set(`${redis.keyPrefix}:users:key`, 'by hand');
  await redis.admin.del(`${redis.keyPrefix}:users:key`);
  await podA.healthCheck();
  release();
  expect(await answer).toBe('old');
  expect(await podA.get('key')).toBeUndefined();
});
