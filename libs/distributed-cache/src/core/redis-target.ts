import type { ResolvedRedis } from '../config/index.js';
import { isRedisClient, type RedisTarget } from '../redis/index.js';

/** The Redis that the configuration describes; `undefined` when there is none. */
export function redisTarget(redis: ResolvedRedis): RedisTarget | undefined {
  if (redis.kind === 'none') {
    return undefined;
  }
  if (redis.kind !== 'client') {
    return redis;
  }
  const { client } = redis;
  if (!isRedisClient(client)) {
    throw new TypeError('redis.client must be an ioredis 5 or 6 client');
  }
  return { kind: 'client', client };
}
