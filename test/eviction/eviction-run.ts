import { Redis } from 'ioredis';
import { CacheConfig, DistributedCache, type AsyncCache } from '../../libs/distributed-cache/src/core/index.js';
import { RedisServer } from '../support/redis-server.js';

export const POLICIES = ['allkeys-lru', 'allkeys-lfu', 'volatile-lru', 'volatile-ttl', 'noeviction'] as const;
export type Policy = (typeof POLICIES)[number];

export interface EvictionSetup {
  readonly policy: Policy;
  readonly seconds: number;
  /** The memory that Redis may use in addition to that of an empty Redis. */
  readonly memoryMb: number;
  /** The number of different keys; each value takes a kilobyte. */
  readonly keys: number;
  /** Default: that of the cache. */
  readonly deadlineMs?: number;
}

export interface EvictionResult {
  readonly policy: Policy;
  readonly requests: number;
  /** The share of the requests that L1 did not answer, in percent. */
  readonly redisHitPercent: number;
  readonly hitPercent: number;
  /** How often the namespace lost its stamp, and with it every entry. */
  readonly namespaceMisses: number;
  readonly evictedKeys: number;
  /** The share of `set` calls beside the loads, in percent. */
  readonly setsRefusedPercent: number;
  /** Loads of the keys that are requested all the time and that L1 holds. */
  readonly hotLoads: number;
  readonly hotRequests: number;
  readonly callerErrors: number;
}

const PROCESSES = 2;
const CALLERS = 8;
const TAGS = 500;
const HOT_KEYS = 20;
const HOT_SHARE = 0.2;
/** Whether Redis is full before the requests begin. */
const FILLED_AT_ONCE = 100;
const STAMP_KEY = 'cache:pages:#clear';
const text = 'x'.repeat(1000);

/** Two processes, each with a small L1, on a Redis that holds a fraction of the requested keys. Ends on its own. */
export async function runEviction(setup: EvictionSetup): Promise<EvictionResult> {
  const server = await RedisServer.start();
  const admin = new Redis({ port: server.port });
  const caches = Array.from(
    { length: PROCESSES },
    () =>
      new DistributedCache(
        CacheConfig.resolve(
          {
            redis: { host: server.host, port: server.port },
            local: { maxMemoryMb: 1 },
            ttl: '10m',
            ...(setup.deadlineMs === undefined ? {} : { deadlineMs: setup.deadlineMs }),
          },
          {},
        ),
      ),
  );
  const { losses, stop } = await countLosses(admin);
  try {
    await Promise.all(caches.map((cache) => cache.connect()));
    const used = Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1] ?? 0);
    await admin.config('SET', 'maxmemory-policy', setup.policy);
    await admin.config('SET', 'maxmemory', String(used + setup.memoryMb * 1024 * 1024));
    return await measure(
      losses,
      setup,
      admin,
      caches.map((cache) => cache.getCache<string>('pages')),
    );
  } finally {
    stop();
    await Promise.all(caches.map((cache) => cache.close()));
    admin.disconnect();
    await server.stop();
  }
}

/** Counts how often the stamp of the namespace is evicted. A read of the stamp would count as a use and keep it. */
async function countLosses(admin: Redis): Promise<{ losses: () => number; stop: () => void }> {
  let count = 0;
  await admin.config('SET', 'notify-keyspace-events', 'KA');
  const listener = admin.duplicate();
  listener.on('message', (_topic: string, event: string) => (count += event === 'evicted' ? 1 : 0));
  await listener.subscribe(`__keyspace@0__:${STAMP_KEY}`);
  return { losses: () => count, stop: () => listener.disconnect() };
}

async function measure(
  losses: () => number,
  { policy, seconds, keys, memoryMb }: EvictionSetup,
  admin: Redis,
  caches: readonly AsyncCache<string>[],
): Promise<EvictionResult> {
  const counts = { requests: 0, hotLoads: 0, hotRequests: 0, callerErrors: 0, sets: 0, refused: 0 };
  let untilMs = Infinity;
  const isOver = (): boolean => performance.now() >= untilMs;
  const ask = async (cache: AsyncCache<string>): Promise<void> => {
    const isHot = Math.random() < HOT_SHARE;
    // A random number to the power of three: a tenth of the keys gets almost half of the requests.
    const number = isHot ? Math.floor(Math.random() * HOT_KEYS) : Math.floor(Math.random() ** 3 * keys);
    const key = isHot ? `hot:${number}` : `page:${number}`;
    counts.requests++;
    counts.hotRequests += isHot ? 1 : 0;
    if (!isHot && Math.random() < 0.02) {
      counts.sets++;
      counts.refused += (await cache.set(key, text, { tags: [`tag:${number % TAGS}`] })) ? 0 : 1;
      return;
    }
    const load = async (): Promise<string> => {
      counts.hotLoads += isHot ? 1 : 0;
      return text;
    };
    await cache.getOrSet(key, load, isHot ? {} : { tags: [`tag:${number % TAGS}`] });
  };
  const caller = async (cache: AsyncCache<string>): Promise<void> => {
    while (!isOver()) {
      await ask(cache).catch(() => counts.callerErrors++);
    }
  };
  const filled = memoryMb * 1000;
  for (let from = 0; from < filled; from += FILLED_AT_ONCE) {
    const pages = Array.from({ length: FILLED_AT_ONCE }, (_, index) => [`page:${from + index}`, text] as const);
    await caches[0]?.setMany(pages, { tags: [`tag:${(from / FILLED_AT_ONCE) % TAGS}`] });
  }
  const before = caches.map((cache) => cache.getMetrics());
  untilMs = performance.now() + seconds * 1000;
  await Promise.all(caches.flatMap((cache) => Array.from({ length: CALLERS }, () => caller(cache))));
  const metrics = caches.map((cache) => cache.getMetrics());
  const sum = (of: (each: (typeof metrics)[number]) => number): number =>
    metrics.reduce((total, each) => total + of(each), 0) - before.reduce((total, each) => total + of(each), 0);
  const [hits, misses, redisHits] = [
    sum((each) => each.hits),
    sum((each) => each.misses),
    sum((each) => each.redisHits),
  ];
  return {
    policy,
    requests: counts.requests,
    redisHitPercent: percent(redisHits, redisHits + misses),
    hitPercent: percent(hits, hits + misses),
    namespaceMisses: losses(),
    evictedKeys: Number(/evicted_keys:(\d+)/.exec(await admin.info('stats'))?.[1] ?? 0),
    setsRefusedPercent: percent(counts.refused, counts.sets),
    hotLoads: counts.hotLoads,
    hotRequests: counts.hotRequests,
    callerErrors: counts.callerErrors,
  };
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 1000) / 10;
}
