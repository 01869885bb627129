import { cachified, type Cache } from '@epic-web/cachified';
import KeyvRedis from '@keyv/redis';
import { RedisMessageProvider } from '@qified/redis';
import { createCache as createDedupeCache } from 'async-cache-dedupe';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis';
import { createCache } from 'cache-manager';
import { Cacheable, createKeyv, Keyv } from 'cacheable';
import { Redis } from 'ioredis';
import { createDistributedCache, type DistributedCacheOptions } from 'nestjs-distributed-cache/core';
import { until } from '../support/until.js';

export const HOUR_MS = 3_600_000;
export const MAX_ENTRIES = 100_000;

export type Loader = () => Promise<unknown>;

/** Some caches connect with their first operation. The deletion of this key makes them connect when they are opened. */
const CONNECTING = { key: 'connecting' };

/** A cache, and the function that closes it. */
export interface Opened<C> {
  readonly cache: C;
  readonly close: () => Promise<void>;
}

export async function connectTo(port: number): Promise<Redis> {
  const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true });
  await client.connect();
  return client;
}

/** ioredis and JSON, without a cache. */
export async function openRaw(port: number): Promise<Opened<RawCache>> {
  const client = await connectTo(port);
  return { cache: new RawCache(client), close: async () => client.disconnect() };
}

export class RawCache {
  constructor(protected readonly client: Redis) {}

  async get(key: string): Promise<unknown> {
    const text = await this.client.get(key);
    return text === null ? undefined : JSON.parse(text);
  }

  async getMany(keys: readonly string[]): Promise<unknown[]> {
    const texts = await this.client.mget(...keys);
    return texts.map((text) => (text === null ? undefined : JSON.parse(text)));
  }

  async set(key: string, value: unknown): Promise<void> {
    await this.client.set(key, JSON.stringify(value), 'PX', HOUR_MS);
  }

  async getOrSet(key: string, load: Loader): Promise<unknown> {
    const found = await this.get(key);
    if (found !== undefined) {
      return found;
    }
    const value = await load();
    await this.set(key, value);
    return value;
  }
}

/** The defaults. Resolves when the connection for invalidations is live. */
export async function openOurs(port: number, options: DistributedCacheOptions = {}) {
  const distributed = await createDistributedCache({ redis: { host: '127.0.0.1', port }, ...options });
  await until(async () => (await distributed.healthCheck()).redis?.invalidation === 'live');
  return { cache: distributed.getCache('products'), distributed, close: () => distributed.close() };
}

/** Two tiers and a bus, as in its guide for several processes. With Redis, its memory must hold text (its issue 111). */
export async function openBentocache(port: number) {
  const connection = { host: '127.0.0.1', port };
  const store = bentostore({ ttl: '1h' })
    .useL1Layer(memoryDriver({ maxItems: MAX_ENTRIES }))
    .useL2Layer(redisDriver({ connection }))
    .useBus(redisBusDriver({ connection }));
  const cache = new BentoCache({ default: 'products', stores: { products: store } });
  await cache.delete(CONNECTING);
  return { cache, close: () => cache.disconnectAll() };
}

/** Memory and Redis, as in its README. */
export async function openCacheManager(port: number) {
  const redis = new KeyvRedis(`redis://127.0.0.1:${port}`);
  const memory = createKeyv({ ttl: HOUR_MS, lruSize: MAX_ENTRIES, useClone: false });
  const cache = createCache({ stores: [memory, new Keyv({ store: redis, namespace: 'cm' })], ttl: HOUR_MS });
  await cache.del(CONNECTING.key);
  return { cache, close: () => redis.disconnect(true) };
}

/** @param sync notifies other processes, through the message provider of its README */
export async function openCacheable(port: number, { sync = false } = {}) {
  const uri = `redis://127.0.0.1:${port}`;
  const redis = new KeyvRedis(uri);
  const provider = sync ? new RedisMessageProvider({ uri }) : undefined;
  const cache = new Cacheable({
    primary: createKeyv({ ttl: HOUR_MS, lruSize: MAX_ENTRIES, useClone: false }),
    secondary: new Keyv({ store: redis, namespace: 'cacheable' }),
    ttl: HOUR_MS,
    ...(provider === undefined ? {} : { sync: { qified: provider } }),
  });
  await cache.delete(CONNECTING.key);
  const close = async () => {
    await provider?.disconnect();
    await redis.disconnect(true);
  };
  return { cache, close };
}

/** One tier, with an adapter as in its README. */
export async function openCachified(port: number) {
  const { cache: raw, close } = await openRaw(port);
  const cache: Cache = {
    get: (key) => raw.get(`cachified:${key}`) as ReturnType<Cache['get']>,
    set: (key, entry) => raw.set(`cachified:${key}`, entry),
    delete: () => undefined,
  };
  return { cache, cachified, close };
}

/** One tier. */
export async function openAsyncCacheDedupe(port: number, load: Loader) {
  const client = await connectTo(port);
  const storage = { type: 'redis' as const, options: { client } };
  const cache = createDedupeCache({ ttl: HOUR_MS / 1000, storage }).define('product', (_key: string) => load());
  return { cache, close: async () => client.disconnect() };
}
