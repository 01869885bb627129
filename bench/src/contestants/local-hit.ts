import { cachified } from '@epic-web/cachified';
import { createCache as createDedupeCache } from 'async-cache-dedupe';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { createCache } from 'cache-manager';
import { Cacheable, createKeyv, Keyv } from 'cacheable';
import { LRUCache } from 'lru-cache';
import { entrant, type Entrant } from '../measure/contestant.js';
import type { Shelf } from '../support/shelf.js';
import { HOUR_MS, MAX_ENTRIES, openOurs } from './two-tiers.js';

/** Reads of a key that is in memory, by a call that has a loader. This library has its defaults, with Redis. */
export function localHitEntrants(port: number, shelf: Shelf): Entrant[] {
  const { load } = shelf;
  return [
    entrant('await lru.get(key)', 'floor', 'lru.get(key)', () => filledLru(shelf)),
    entrant('async function over a Map', 'peer', 'read(key)', () => asyncMap(shelf)),
    entrant('nestjs-distributed-cache', 'ours', 'cache.getOrSet(key, load)', () => openOurs(port), { load }),
    entrant('lru-cache fetch', 'peer', 'lru.fetch(key)', () => lruFetch(shelf)),
    asyncCacheDedupe(shelf),
    cacheManager('cache-manager, Map without bound', shelf, () => new Keyv()),
    cacheManager('cache-manager, bounded', shelf, boundedKeyv),
    entrant('@epic-web/cachified', 'peer', 'cachified({ key, cache, ttl, getFreshValue: load })', cachifiedLru, {
      load,
    }),
    entrant('cacheable', 'peer', 'cache.getOrSet(key, load)', openCacheable, { load }),
    bentocache('bentocache, serialize: false', shelf, { serialize: false, maxItems: MAX_ENTRIES }),
    bentocache('bentocache, its defaults', shelf, { maxItems: MAX_ENTRIES }),
  ];
}

function filledLru(shelf: Shelf) {
  const lru = new LRUCache<string, object>({ max: MAX_ENTRIES });
  shelf.keys.forEach((key) => lru.set(key, shelf.valueOf(key)));
  return { lru };
}

/** The least that a cache with a promise in its signature can cost. */
function asyncMap(shelf: Shelf) {
  const entries = new Map(shelf.keys.map((key) => [key, shelf.valueOf(key)]));
  return { read: async (key: string) => entries.get(key) ?? (await shelf.load()) };
}

function lruFetch({ load }: Shelf) {
  return { lru: new LRUCache<string, object>({ max: MAX_ENTRIES, ttl: HOUR_MS, fetchMethod: load }) };
}

export function asyncCacheDedupe({ load }: Shelf): Entrant {
  return entrant('async-cache-dedupe', 'peer', 'cache.product(key)', () => {
    const storage = { type: 'memory' as const, options: { size: MAX_ENTRIES } };
    return { cache: createDedupeCache({ ttl: HOUR_MS / 1000, storage }).define('product', load) };
  });
}

/** No serializer, as its documentation advises for memory. */
function cacheManager(name: string, { load }: Shelf, openKeyv: () => Keyv): Entrant {
  const open = () => {
    const keyv = openKeyv();
    keyv.serialize = undefined;
    keyv.deserialize = undefined;
    return { cache: createCache({ stores: [keyv], ttl: HOUR_MS }) };
  };
  return entrant(name, 'peer', 'cache.wrap(key, load)', open, { load });
}

function cachifiedLru() {
  return { cachified, cache: new LRUCache<string, object>({ max: MAX_ENTRIES }), ttl: HOUR_MS };
}

function openCacheable() {
  return { cache: new Cacheable({ primary: boundedKeyv(), ttl: HOUR_MS }) };
}

function boundedKeyv(): Keyv {
  return createKeyv({ ttl: HOUR_MS, lruSize: MAX_ENTRIES, useClone: false });
}

function bentocache(name: string, { load }: Shelf, memory: { serialize?: boolean; maxItems: number }): Entrant {
  const open = () => {
    const products = bentostore({ ttl: '1h' }).useL1Layer(memoryDriver(memory));
    const cache = new BentoCache({ default: 'products', stores: { products } });
    return { cache, close: () => cache.disconnectAll() };
  };
  return entrant(name, 'peer', 'cache.getOrSet({ key, factory: load })', open, { load });
}
