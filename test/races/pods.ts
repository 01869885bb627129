import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished, vi } from 'vitest';
import type {
  AsyncCache,
  CacheEnvironment,
  DistributedCache,
  DistributedCacheOptions,
} from 'nestjs-distributed-cache/core';
import { cacheForTest } from '../support/cache-for-test.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { RedisServer } from '../support/redis-server.js';

/** One process, as far as Redis can tell: a cache with connections and an L1 of its own. */
export interface Pod {
  readonly all: DistributedCache;
  readonly cache: AsyncCache;
}

/** A server for this test alone, to break or to disconnect. */
/** @param port of a server or of a proxy before it */
export async function podAt(
  port: number,
  options: DistributedCacheOptions = {},
  environment?: CacheEnvironment,
): Promise<Pod> {
  return podWith({ redis: { host: '127.0.0.1', port }, ...options }, environment);
}

export async function podWith(options: DistributedCacheOptions, environment?: CacheEnvironment): Promise<Pod> {
  const all = cacheForTest(options, environment);
  await all.connect();
  return { all, cache: all.getCache('users') };
}

/**
 * A process whose data connection goes through `proxy` while invalidations arrive on another path: the two connections
 * of a real process are independent, too. It has a long deadline, so that a test may stall its data connection.
 */
export async function podWithSplitLinks(
  server: RedisServer,
  proxy: FaultProxy,
  options: DistributedCacheOptions = {},
): Promise<Pod> {
  let hasData = false;
  const junction = createServer((client) => {
    const port = hasData ? server.port : proxy.port; // the data connection is opened first
    hasData = true;
    const upstream = createConnection({ host: '127.0.0.1', port });
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => [client, upstream].forEach((each) => each.destroy()));
    }
    client.pipe(upstream).pipe(client);
  });
  junction.listen(0, '127.0.0.1');
  await once(junction, 'listening');
  onTestFinished(() => void junction.close());
  return podAt((junction.address() as AddressInfo).port, { deadlineMs: 5000, ...options });
}

/** Does at once what is done at each heartbeat. */
export function beat({ all }: Pod): void {
  const { runtime } = all as unknown as { runtime: { redis: { onHeartbeat(): void } } };
  runtime.redis.onHeartbeat();
}

/** Puts the entry stored under `key` into L1. */
export async function warm({ cache }: Pod, key = 'key'): Promise<void> {
  await vi.waitFor(async () => {
    await cache.get(key); // not kept if the first stamp of the namespace becomes known at this moment
    expect(await cache.lookup(key)).toMatchObject({ state: 'fresh', tier: 'local' });
  });
}

export async function untilUp({ all }: Pod): Promise<void> {
  await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'up' }), { timeout: 10_000 });
}

export async function untilDown({ all }: Pod): Promise<void> {
  await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ redisConnected: false }));
}

/** Whether L1 holds the key. `lookup` would read Redis otherwise, which a test may have stalled. */
export function holdsCopy({ cache }: Pod, key: string): boolean {
  const { local } = cache as unknown as { local: { find(key: string): unknown } };
  return local.find(key) !== undefined;
}

/** Whether a caller waits for the load of another process. */
export function waitsFor({ cache }: Pod, key: string): boolean {
  const { loads } = cache as unknown as { loads: { flights: { waits: { has(key: string): boolean } } } };
  return loads.flights.waits.has(key);
}

/**
 * Resolves when every message that Redis has sent to this process until now has arrived: a change of another key comes
 * last.
 */
export async function receivedAll(pod: Pod, tell: (key: string) => Promise<unknown>): Promise<void> {
  const key = `marker:${performance.now()}`;
  await pod.cache.set(key, 1);
  await warm(pod, key);
  await tell(key);
  await vi.waitFor(() => expect(holdsCopy(pod, key)).toBe(false));
}
