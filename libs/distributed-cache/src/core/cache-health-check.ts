import { CacheHealth, type RedisFacts } from '../events/index.js';
import type { CacheRuntime, RedisRuntime } from './cache-runtime.js';

/**
 * `up` when Redis answers, or none is configured; `degraded` when it does not and L1 serves, when only some masters of a cluster
 * answer, or when changes of other processes are not heard of; `down` when neither can, or Redis is required and none of it answers. Waits at most `deadlineMs`; never rejects.
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
    if (down.length > 0) {
      return new CacheHealth('degraded', true, hasLocal, part, factsOf(redis));
    }
    const { isOff, message } = invalidationOf(redis);
    return new CacheHealth(isOff ? 'degraded' : 'up', true, hasLocal, message, factsOf(redis));
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

/** A channel that is being set up, or set up again, and has not failed yet is no fault. */
function invalidationOf({ changes }: RedisRuntime): { readonly isOff: boolean; readonly message?: string } {
  const { state, lostReason } = changes;
  if (state === 'live' || lostReason === undefined) {
    return { isOff: false };
  }
  return state === 'announced'
    ? { isOff: false, message: `only changes that other processes announce are heard of: ${lostReason}` }
    : { isOff: true, message: `invalidation is off: ${lostReason}` };
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
