import { CacheHealth, type RedisFacts } from '../events/index.js';
import type { CacheRuntime, RedisRuntime } from './cache-runtime.js';
import { describeRefusal, effectOf, stopsWrites, type RefusalEffect } from './refusal-effects.js';

/**
 * Finds the health of a cache. `up`: Redis answers, or none is configured. `degraded`: Redis does not answer and L1
 * serves, only some masters of a cluster answer, changes by other processes are not received, or Redis refuses a
 * command that is needed. `down`: neither tier serves, or Redis is required and none of it answers or nothing can be
 * stored. Waits at most `deadlineMs`; never rejects.
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
    const refused = refusalsOf(redis, config.keyPrefix);
    if (refused.length === 0) {
      return new CacheHealth(isOff ? 'degraded' : 'up', true, hasLocal, message, factsOf(redis));
    }
    const isDown = config.requireRedis && refused.some(stopsWrites);
    const causes = [...refused.map(describeRefusal), ...(message === undefined ? [] : [message])].join('; ');
    return new CacheHealth(isDown ? 'down' : 'degraded', true, hasLocal, causes, factsOf(redis));
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

/**
 * The state of the invalidation channel. A channel that is being set up, for the first time or again, and has not
 * failed yet is not a fault.
 */
function invalidationOf({ changes }: RedisRuntime): { readonly isOff: boolean; readonly message?: string } {
  const { state, lostReason } = changes;
  if (state === 'live' || lostReason === undefined) {
    return { isOff: false };
  }
  return state === 'announced'
    ? { isOff: false, message: `only changes that other processes announce are heard of: ${lostReason}` }
    : { isOff: true, message: `invalidation is off: ${lostReason}` };
}

function refusalsOf({ connection }: RedisRuntime, keyPrefix: string): readonly RefusalEffect[] {
  return connection.refusals.all
    .map((refusal) => effectOf(refusal, keyPrefix))
    .filter((effect): effect is RefusalEffect => effect !== undefined);
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
