import { CacheHealth, type RedisFacts } from '../events/index.js';
import type { CacheRuntime, RedisRuntime } from './cache-runtime.js';

/**
 * `up` when Redis answers, or none is configured; `degraded` when it does not and L1 serves, or when only some masters of
 * a cluster answer; `down` when neither can, or Redis is required and none of it answers. Waits at most `deadlineMs`; never rejects.
 */
export async function checkHealth({ config, redis, local }: CacheRuntime): Promise<CacheHealth> {
  const hasLocal = local !== undefined;
  if (!config.enabled) {
    return new CacheHealth('up', false, false, 'the cache is switched off');
  }
  if (redis === undefined) {
    return new CacheHealth('up', false, hasLocal);
  }
  if (await redis.connection.ping()) {
    const { down, all } = redis.connection.nodes;
    const part = `Redis can't be used on ${down.length} of ${all.length} masters (${down.map(({ reason }) => reason).join(', ')})`;
    return down.length > 0
      ? new CacheHealth('degraded', true, hasLocal, part, factsOf(redis))
      : new CacheHealth('up', true, hasLocal, undefined, factsOf(redis));
  }
  const cause = `Redis can't be used (${redis.connection.reason})`;
  if (config.requireRedis) {
    return new CacheHealth('down', false, hasLocal, `${cause} and is required`, factsOf(redis));
  }
  if (hasLocal && config.fallback !== false) {
    return new CacheHealth('degraded', false, hasLocal, `${cause}; the local tier serves`, factsOf(redis));
  }
  return new CacheHealth('down', false, hasLocal, `${cause} and there is no fallback`, factsOf(redis));
}

function factsOf({ connection, changes, journal }: RedisRuntime): RedisFacts {
  return {
    connection: connection.state,
    invalidation: changes.state,
    journalLength: journal.size,
    sinceAnswerMs: connection.sinceAnswerMs,
    nodesDown: connection.nodes.down.length,
  };
}
