import type { DistributedCache } from 'nestjs-distributed-cache';
import type { OwnRedis } from '../own-redis/own-redis.js';

/** The line that says where to look, and which tiers serve at this moment. The address in it has no user and no password. */
export async function greetingOf(baseUrl: string, cache: DistributedCache, ownRedis?: OwnRedis): Promise<string> {
  const tiers = ownRedis === undefined ? await describeTiers(cache) : describeOwnRedis(ownRedis);
  return `Keyword Insights is ready: open ${baseUrl} (API: ${baseUrl}/docs, health: ${baseUrl}/health). ${tiers}`;
}

function describeOwnRedis({ url }: OwnRedis): string {
  return (
    `No Redis answered at localhost:6379, so the demo started its own at ${url}/0. It ends with the demo, ` +
    'and the page has buttons that freeze it and kill it.'
  );
}

async function describeTiers(cache: DistributedCache): Promise<string> {
  const { enabled, redisAddress } = cache.config;
  if (!enabled) {
    return 'The cache is switched off: every answer is worked out anew.';
  }
  if (redisAddress === undefined) {
    return 'No Redis is configured: the cache lives in the memory of this process.';
  }
  const { redisConnected, localCacheAvailable } = await cache.healthCheck();
  if (redisConnected) {
    return `Redis answers at ${redisAddress}: the cache is shared, with the memory of this process in front.`;
  }
  return localCacheAvailable
    ? `Redis can't be used at ${redisAddress}: the memory of this process serves until it can.`
    : `Redis can't be used at ${redisAddress}: nothing is cached until it can.`;
}
