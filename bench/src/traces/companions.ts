import { Redis } from 'ioredis';
import { createDistributedCache, type DistributedCache } from 'nestjs-distributed-cache/core';
import { withServer } from '../scenarios/with-server.js';
import type { RedisServer } from '../support/redis-server.js';
import { sessionTrace, generateTraces, type Trace } from './traces.js';

const SHARE = 0.05;
/** As in the documentation of the option. */
const VALUE = { id: 1, name: 'Ada Lovelace', email: 'ada@example.org', roles: ['admin', 'author'], active: true };

/** The result of one replay. */
interface Replayed {
  readonly localHits: number;
  readonly prefetches: number;
  readonly used: number;
  /** What Redis has sent, in bytes. */
  readonly sentBytes: number;
}

/**
 * Replays traces through two caches over a Redis that has every key: L1 keeps 5 % of the keys. Each row has the hits of
 * L1 in %, the same with companions, the gain in points, the share of companions that were used, and by how much more
 * Redis sends, in %.
 */
export async function companionRows(seed: number, length: number): Promise<[name: string, figures: number[]][]> {
  const rows: [name: string, figures: number[]][] = [];
  for (const trace of tracesOf(seed, length)) {
    await withServer(async (server) => {
      const keys = [...new Set(trace.requests.map(({ key }) => key))];
      const writer = await open(server, false, keys.length);
      await writer.getCache('users').setMany(keys.map((key) => [key, { ...VALUE, key }]));
      await writer.close();
      const without = await replay(server, trace, await open(server, false, keys.length * SHARE));
      const withThem = await replay(server, trace, await open(server, true, keys.length * SHARE));
      const [before, after] = [(without.localHits / length) * 100, (withThem.localHits / length) * 100];
      const used = withThem.prefetches === 0 ? 0 : (withThem.used / withThem.prefetches) * 100;
      const extra = (withThem.sentBytes / without.sentBytes - 1) * 100;
      rows.push([trace.name, [before, after, after - before, used, extra]]);
    });
  }
  return rows;
}

function* tracesOf(seed: number, length: number): Generator<Trace> {
  yield sessionTrace(seed, length, 1);
  for (const trace of generateTraces(seed, length)) {
    if (/^(Zipf 0\.9|Zipf 0\.9 with scans|newest.*|hot set.*|sessions.*|loop of 6.*)$/.test(trace.name)) {
      yield trace;
    }
  }
}

function open(server: RedisServer, companions: boolean, maxEntries: number): Promise<DistributedCache> {
  return createDistributedCache({
    redis: { url: server.url },
    local: { maxEntries: Math.round(maxEntries) },
    namespaces: { users: { companions } },
    consistencyChecks: false,
  });
}

/** Closes the cache, which counts the companions that are still in L1. */
async function replay(server: RedisServer, { requests }: Trace, all: DistributedCache): Promise<Replayed> {
  const cache = all.getCache('users');
  const before = await sentBytes(server);
  for (const { key } of requests) {
    await cache.get(key);
  }
  const bytes = (await sentBytes(server)) - before;
  await all.close();
  const { localHits, companionPrefetches, companionPrefetchesUsed } = cache.getMetrics();
  return { localHits, prefetches: companionPrefetches, used: companionPrefetchesUsed, sentBytes: bytes };
}

async function sentBytes({ host, port }: RedisServer): Promise<number> {
  const client = new Redis({ host, port });
  try {
    const [, bytes] = /total_net_output_bytes:(\d+)/.exec(await client.info('stats')) ?? [];
    return Number(bytes);
  } finally {
    client.disconnect();
  }
}
