import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { freePort } from '../../../../test/support/free-port.js';
import { ownRedis, proxyTo } from '../../../../test/support/redis-for-test.js';
import { FakeClock } from '../testing/fake-clock.js';
import type { DistributedCache } from './distributed-cache.js';

const DEADLINE_MS = 300;

/** The states that the cache has emitted, in order. */
function statesOf(cache: DistributedCache): string[] {
  const states: string[] = [];
  cache.events.on('redisConnected', () => states.push('connected'));
  cache.events.on('redisConnectionFailed', () => states.push('failed'));
  cache.events.on('fallbackOn', () => states.push('fallback on'));
  cache.events.on('fallbackOff', () => states.push('fallback off'));
  return states;
}

async function untilHealthy(cache: DistributedCache): Promise<void> {
  await vi.waitFor(async () => expect(await cache.healthCheck()).toMatchObject({ redisConnected: true }), {
    timeout: 10_000,
    interval: 20,
  });
}

describe('a cache whose Redis does not answer', () => {
  it('serves from L1 when Redis refuses connections at boot, and uses Redis once it accepts them', async () => {
    const port = await freePort();
    const all = cacheForTest({ redis: { host: '127.0.0.1', port } });
    const states = statesOf(all);
    await all.connect();
    const cache = all.getCache('users');
    const load = vi.fn(async () => 'Ada');
    expect(await cache.getOrSet('user:1', load)).toBe('Ada');
    expect(await cache.getOrSet('user:1', load)).toBe('Ada');
    expect(load).toHaveBeenCalledTimes(1);
    expect(await cache.set('user:2', 'Bob')).toBe(false);
    expect(await cache.get('user:2')).toBe('Bob');
    expect(await all.healthCheck()).toMatchObject({ status: 'degraded', redisConnected: false, overallHealthy: true });
    expect(states).toEqual(['failed', 'fallback on']);

    const server = await ownRedis({ port });
    await untilHealthy(all);
    expect(states).toEqual(['failed', 'fallback on', 'connected', 'fallback off']);
    await cache.getOrSet('user:3', async () => 'Eve');
    expect(Number(await server.command('EXISTS', 'cache:users:user:3'))).toBe(1);
  });

  it('continues when Redis is killed and recovers when it restarts, and emits each change of state once', async () => {
    const server = await ownRedis();
    const all = cacheForTest({ redis: { url: server.url } });
    const states = statesOf(all);
    const cache = all.getCache<number>('numbers');
    await cache.set('kept', 1);
    await server.killHard();
    const load = vi.fn(async () => 2);
    for (let round = 0; round < 50; round++) {
      expect(await cache.getOrSet('kept', load)).toBe(1);
      expect(await cache.getOrSet(`new:${round}`, load)).toBe(2);
    }
    expect(load).toHaveBeenCalledTimes(50);
    await server.restart();
    await untilHealthy(all);
    expect(await cache.getOrSet('kept', async () => 3)).toBe(3);
    expect(states).toEqual(['connected', 'failed', 'fallback on', 'connected', 'fallback off']);
  });

  it('releases every caller when Redis freezes, sends no more commands, and uses Redis when it answers', async () => {
    const server = await ownRedis();
    const all = cacheForTest({ redis: { url: server.url } });
    const states = statesOf(all);
    const cache = all.getCache<number>('numbers');
    await cache.set('kept', 1);
    server.freeze();
    const load = vi.fn(async (): Promise<number> => 2);
    const firstMs = await longestOf(Array.from({ length: 20 }, (_, index) => () => cache.getOrSet(`a:${index}`, load)));
    const laterMs = await longestOf(Array.from({ length: 20 }, (_, index) => () => cache.getOrSet(`b:${index}`, load)));
    expect(load).toHaveBeenCalledTimes(40);
    // A ratio, not a wall time: a second wait would make the second round as long as the first.
    expect(laterMs).toBeLessThan(firstMs / 2);
    await vi.waitFor(() => expect(states).toEqual(['connected', 'failed', 'fallback on']), { timeout: 5000 });
    server.thaw();
    await untilHealthy(all);
    expect(await cache.set('again', 3)).toBe(true);
    expect(states).toEqual(['connected', 'failed', 'fallback on', 'connected', 'fallback off']);
  });

  it('detects a frozen Redis by its heartbeat although no call uses the cache', async () => {
    const server = await ownRedis();
    const all = cacheForTest({ redis: { url: server.url } });
    const states = statesOf(all);
    await all.connect();
    server.freeze();
    await vi.waitFor(() => expect(states).toEqual(['connected', 'failed', 'fallback on']), { timeout: 5000 });
  });

  it('serves an entry for no longer than the fallback TTL, counted from the start of the outage', async () => {
    const clock = new FakeClock();
    const all = cacheForTest(
      { redis: { host: '127.0.0.1', port: await freePort() }, fallback: { ttl: '5m' } },
      { clock },
    );
    await all.connect();
    const cache = all.getCache<number>('numbers');
    await cache.set('key', 1, '24h');
    clock.advance(299_999);
    expect(await cache.get('key')).toBe(1);
    clock.advance(1);
    expect(await cache.get('key')).toBeUndefined();
  });

  it('runs every loader and reports `down` while the fallback is switched off', async () => {
    const all = cacheForTest({ redis: { host: '127.0.0.1', port: await freePort() }, fallback: false });
    const load = vi.fn(async () => 1);
    await all.getCache('numbers').getOrSet('key', load);
    await all.getCache('numbers').getOrSet('key', load);
    expect(load).toHaveBeenCalledTimes(2);
    expect(await all.healthCheck()).toMatchObject({ status: 'down', overallHealthy: false });
  });

  it('returns a stale value within its grace when the loader fails', async () => {
    const clock = new FakeClock();
    const all = cacheForTest({ redis: false, namespaces: { numbers: { ttl: '1m', grace: '1h' } } }, { clock });
    const cache = all.getCache<number>('numbers');
    await cache.set('key', 1);
    clock.advance(60_000);
    expect(await cache.get('key')).toBeUndefined();
    expect(await cache.getOrSet('key', () => Promise.reject(new Error('no')))).toBe(1);
    clock.advance(3_600_000);
    await expect(cache.getOrSet('key', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('does not start an outage when only the process was busy', async () => {
    const server = await ownRedis();
    // In this process too, nothing leaves before the deadline has passed, as with commands that are written together.
    const proxy = await proxyTo(server);
    const all = cacheForTest({ redis: { host: proxy.host, port: proxy.port } });
    const states = statesOf(all);
    const cache = all.getCache<number>('numbers');
    await cache.set('a', 1);
    const reading = cache.get('b');
    const untilMs = performance.now() + 2 * DEADLINE_MS;
    while (performance.now() < untilMs) {
      // keeps the event loop busy on purpose
    }
    expect(await reading).toBeUndefined();
    expect(cache.getMetrics().errors).toBe(0);
    expect(states).toEqual(['connected']);
  });
});

/** The longest of several sequential calls, in milliseconds. */
async function longestOf(calls: readonly (() => Promise<unknown>)[]): Promise<number> {
  const durations = await Promise.all(
    calls.map(async (call) => {
      const startedAtMs = performance.now();
      await call();
      return performance.now() - startedAtMs;
    }),
  );
  return Math.max(...durations);
}
