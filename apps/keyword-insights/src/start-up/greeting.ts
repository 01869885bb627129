import { fileURLToPath } from 'node:url';
import type { DistributedCache } from 'nestjs-distributed-cache';
import type { OwnRedis } from '../own-redis/own-redis.js';

/**
 * The lines that say where to look, and which tiers serve at this moment. No address in them has a user or a password, except
 * that of the demo's own Redis, which has none.
 */
export async function greetingOf(baseUrl: string, cache: DistributedCache, ownRedis?: OwnRedis): Promise<string> {
  const tiers = ownRedis === undefined ? await describeTiers(cache) : describeOwnRedis(ownRedis);
  return [
    `Keyword Insights is ready: open ${baseUrl} (API: ${baseUrl}/docs, health: ${baseUrl}/health). ${tiers}`,
    ...placesOf(baseUrl, ownRedis).map(([name, place]) => `  ${`${name}:`.padEnd(16)}${place}`),
  ].join('\n');
}

/** Where an operator looks, one line each. */
function placesOf(
  baseUrl: string,
  ownRedis: OwnRedis | undefined,
): readonly (readonly [name: string, place: string])[] {
  // The command line finds any other Redis by the same variables as the demo.
  const url = ownRedis === undefined ? '' : ` --url ${ownRedis.url}`;
  const port = Number(new URL(baseUrl).port || 80);
  const variables = ownRedis === undefined ? '' : ` REDIS_URL=${ownRedis.url}`;
  return [
    ['Admin page', `${baseUrl}/admin/cache`],
    ['Metrics', `${baseUrl}/metrics`],
    ['Dashboards', `${folderOfPackage('grafana')} (Grafana), ${folderOfPackage('prometheus')} (rules and alerts)`],
    ['Command line', `npx nestjs-distributed-cache stats${url}`],
    ['More processes', `PORT=${port + 1}${variables} npm start`],
  ];
}

function folderOfPackage(name: string): string {
  return fileURLToPath(new URL(name, import.meta.resolve('nestjs-distributed-cache/package.json')));
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
