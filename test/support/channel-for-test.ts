import { vi, expect } from 'vitest';
import type { Redis } from 'ioredis';
import type { CacheHealth, DistributedCache, DistributedCacheOptions } from 'nestjs-distributed-cache/core';
import { cacheForTest } from './cache-for-test.js';

export interface ChannelEnds {
  /** The data connection. */
  readonly source: Redis;
  readonly subscriber: Redis;
}

/** Both connections of the invalidation channel of a cache over one server. */
export function channelOf(all: DistributedCache): ChannelEnds {
  const { runtime } = all as unknown as { runtime: { redis: { changes: { channels: Map<Redis, ChannelEnds> } } } };
  const [channel] = runtime.redis.changes.channels.values();
  if (channel === undefined) {
    throw new Error('the cache has not connected yet');
  }
  return channel;
}

/** Resolves when the cache reports this state of its invalidation, with its health. */
export async function untilInvalidation(all: DistributedCache, state: string): Promise<CacheHealth> {
  return vi.waitFor(
    async () => {
      const health = await all.healthCheck();
      expect({ state: health.redis?.invalidation, message: health.message }).toMatchObject({ state });
      return health;
    },
    { timeout: 10_000, interval: 10 },
  );
}

/**
 * Caches that hear each other, each with connections and an L1 of its own, as in several processes. They end with the
 * test.
 */
export async function liveCaches(count: number, options: DistributedCacheOptions): Promise<DistributedCache[]> {
  const all = Array.from({ length: count }, () => cacheForTest(options));
  await Promise.all(all.map((each) => each.connect()));
  await Promise.all(all.map((each) => untilInvalidation(each, 'live')));
  return all;
}

/** The id under which a cache answers the questions of other processes. */
export function processIdOf(all: DistributedCache): string {
  const { runtime } = all as unknown as { runtime: { redis: { topics: { processId: string } } } };
  return runtime.redis.topics.processId;
}
