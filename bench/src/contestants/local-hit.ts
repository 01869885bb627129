import { cachified } from '@epic-web/cachified';
import { createCache as createDedupeCache } from 'async-cache-dedupe';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { createCache } from 'cache-manager';
import { Cacheable, createKeyv, Keyv } from 'cacheable';
import { LRUCache } from 'lru-cache';
import { createDistributedCache } from 'nestjs-distributed-cache/core';
import type { Contestant } from '../measure/contestant.js';
import type { RedisServer } from '../support/redis-server.js';
import type { Shelf } from '../support/shelf.js';

export const HOUR_MS = 3_600_000;
export const MAX_ENTRIES = 100_000;

/** "Give me the value of this key, here is how to make it", answered from memory. */
export async function localHitContestants(server: RedisServer, shelf: Shelf): Promise<Contestant[]> {
  return [
    lruGet(shelf),
    asyncMap(shelf),
    await ours(server, shelf),
    lruFetch(shelf),
    asyncCacheDedupe(shelf),
    cacheManager('cache-manager, Map without bound', shelf, new Keyv()),
    cacheManager('cache-manager, bounded', shelf, createKeyv({ ttl: HOUR_MS, lruSize: MAX_ENTRIES, useClone: false })),
    cachifiedLru(shelf),
    cacheable(shelf),
    bentocache('bentocache, serialize: false', shelf, { serialize: false, maxItems: MAX_ENTRIES }),
    bentocache('bentocache, its defaults', shelf, { maxItems: MAX_ENTRIES }),
  ];
}

function lruGet(shelf: Shelf): Contestant {
  const lru = new LRUCache<string, object>({ max: MAX_ENTRIES });
  shelf.keys.forEach((key) => lru.set(key, shelf.valueOf(key)));
  return { name: 'await lru.get(key)', role: 'floor', call: 'lru.get(key)', scope: { lru } };
}

/** The least that a cache with a promise in its signature can cost. */
function asyncMap(shelf: Shelf): Contestant {
  const entries = new Map(shelf.keys.map((key) => [key, shelf.valueOf(key)]));
  const read = async (key: string) => entries.get(key) ?? (await shelf.load());
  return { name: 'async function over a Map', role: 'peer', call: 'read(key)', scope: { read } };
}

/** With all that is on by default: metrics, leases, the invalidation channel, frozen values. */
async function ours(server: RedisServer, { load }: Shelf): Promise<Contestant> {
  const distributed = await createDistributedCache({ redis: { host: server.host, port: server.port } });
  const cache = distributed.getCache<object>('products');
  return {
    name: 'nestjs-distributed-cache',
    role: 'ours',
    call: 'cache.getOrSet(key, load)',
    scope: { cache, load },
    close: () => distributed.close(),
  };
}

function lruFetch({ load }: Shelf): Contestant {
  const lru = new LRUCache<string, object>({ max: MAX_ENTRIES, ttl: HOUR_MS, fetchMethod: load });
  return { name: 'lru-cache fetch', role: 'peer', call: 'lru.fetch(key)', scope: { lru } };
}

export function asyncCacheDedupe({ load }: Shelf): Contestant {
  const storage = { type: 'memory' as const, options: { size: MAX_ENTRIES } };
  const cache = createDedupeCache({ ttl: HOUR_MS / 1000, storage }).define('product', load);
  return { name: 'async-cache-dedupe', role: 'peer', call: 'cache.product(key)', scope: { cache } };
}

/** No serializer, as its documentation advises for memory. */
export function cacheManager(name: string, { load }: Shelf, keyv: Keyv): Contestant {
  keyv.serialize = undefined;
  keyv.deserialize = undefined;
  const cache = createCache({ stores: [keyv], ttl: HOUR_MS });
  return { name, role: 'peer', call: 'cache.wrap(key, load)', scope: { cache, load } };
}

function cachifiedLru({ load }: Shelf): Contestant {
  const cache = new LRUCache<string, object>({ max: MAX_ENTRIES });
  const call = 'cachified({ key, cache, ttl, getFreshValue: load })';
  return { name: '@epic-web/cachified', role: 'peer', call, scope: { cachified, cache, ttl: HOUR_MS, load } };
}

function cacheable({ load }: Shelf): Contestant {
  const primary = createKeyv({ ttl: HOUR_MS, lruSize: MAX_ENTRIES, useClone: false });
  const cache = new Cacheable({ primary, ttl: HOUR_MS });
  return { name: 'cacheable', role: 'peer', call: 'cache.getOrSet(key, load)', scope: { cache, load } };
}

function bentocache(name: string, { load }: Shelf, memory: { serialize?: boolean; maxItems: number }): Contestant {
  const cache = new BentoCache({
    default: 'products',
    stores: { products: bentostore({ ttl: '1h' }).useL1Layer(memoryDriver(memory)) },
  });
  return {
    name,
    role: 'peer',
    call: 'cache.getOrSet({ key, factory: load })',
    scope: { cache, load },
    close: () => cache.disconnectAll(),
  };
}
