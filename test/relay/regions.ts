import { randomUUID } from 'node:crypto';
import { onTestFinished, vi } from 'vitest';
import type { AsyncCache, CacheEventMap, DistributedCache } from 'nestjs-distributed-cache/core';
import { redisStreams, startRelay, type RelayLink, type RelayOptions } from 'nestjs-distributed-cache/relay';
import { cacheForTest } from '../support/cache-for-test.js';
import type { FaultProxy } from '../support/fault-proxy.js';
import { ownRedis, proxyTo } from '../support/redis-for-test.js';
import type { RedisServer } from '../support/redis-server.js';

/** One region: a Redis of its own, and two processes. The first one runs the relay. */
export interface Region {
  readonly name: string;
  readonly server: RedisServer;
  /** What the other region connects to. */
  readonly proxy: FaultProxy;
  readonly caches: readonly DistributedCache[];
  /** The namespace `users`, in the process that runs the relay and in the other one. */
  readonly users: AsyncCache;
  readonly others: AsyncCache;
  readonly applied: CacheEventMap['relayApplied'][];
  readonly gaps: CacheEventMap['relayGap'][];
  readonly failed: CacheEventMap['relayFailed'][];
}

export interface TwoRegions {
  readonly eu: Region;
  readonly us: Region;
  readonly keyPrefix: string;
}

interface Settings {
  /** How far apart the regions are, in milliseconds each way. Default 40. */
  readonly delayMs?: number;
  readonly options?: RelayOptions;
  /** Default: to the Redis of the other region. */
  readonly links?: (other: Region) => Readonly<Record<string, RelayLink>>;
}

/** Two regions with running relays, until the test ends. Resolves when both have heard of each other. */
export async function twoRegions({ delayMs = 40, options, links = toRedis }: Settings = {}): Promise<TwoRegions> {
  const keyPrefix = `relay-${randomUUID()}`;
  const [eu, us] = await Promise.all([regionOf('eu', keyPrefix, delayMs), regionOf('us', keyPrefix, delayMs)]);
  startRelay(firstOf(eu), links(us), options);
  startRelay(firstOf(us), links(eu), options);
  // The first batch of each region finds no position.
  await vi.waitFor(() => {
    if (eu.gaps.length === 0 || us.gaps.length === 0) {
      throw new Error('the regions have not heard of each other');
    }
  });
  return { eu, us, keyPrefix };
}

export function firstOf({ caches: [first] }: Region): DistributedCache {
  if (first === undefined) {
    throw new Error('a region without a process');
  }
  return first;
}

export function toRedis({ name, proxy: { port } }: Region): Readonly<Record<string, RelayLink>> {
  return { [name]: redisStreams({ redis: { host: '127.0.0.1', port } }) };
}

export async function regionOf(name: string, keyPrefix: string, delayMs: number): Promise<Region> {
  const server = await ownRedis();
  const proxy = await proxyTo(server);
  proxy.delay(delayMs);
  const caches = [0, 1].map(() => cacheForTest({ region: name, keyPrefix, redis: { url: server.url } }));
  await Promise.all(caches.map((cache) => cache.connect()));
  const [users, others] = caches.map((cache) => cache.getCache('users')) as [AsyncCache, AsyncCache];
  const region: Region = { name, server, proxy, caches, users, others, applied: [], gaps: [], failed: [] };
  for (const { events } of caches) {
    const stops = [
      events.on('relayApplied', (event) => void region.applied.push(event)),
      events.on('relayGap', (event) => void region.gaps.push(event)),
      events.on('relayFailed', (event) => void region.failed.push(event)),
    ];
    onTestFinished(() => stops.forEach((stop) => stop()));
  }
  return region;
}

/** The number of changes that were applied in a region. */
export function appliedIn({ applied }: Region): number {
  return applied.reduce((sum, { changes }) => sum + changes, 0);
}
