import { vi, expect } from 'vitest';
import type { Redis } from 'ioredis';
import type { CacheHealth, DistributedCache } from 'nestjs-distributed-cache/core';

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
