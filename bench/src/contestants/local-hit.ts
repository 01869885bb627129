import { cachified } from '@epic-web/cachified';
import { createCache as createDedupeCache } from 'async-cache-dedupe';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { createCache } from 'cache-manager';
import { Cacheable, createKeyv, Keyv } from 'cacheable';
import { LRUCache } from 'lru-cache';
import { entrant, type Entrant } from '../measure/contestant.js';
import type { DataSource } from '../support/data-source.js';
import { HOUR_MS, MAX_ENTRIES, openOurs } from './two-tiers.js';

/** The two ways in which this library protects a value from its callers: a copy for each (the default), or one frozen object. */
export const OURS = {
  default: 'nestjs-distributed-cache',
  frozen: "nestjs-distributed-cache, values: 'frozen'",
} as const;

/** Reads of a key that is in memory, by a call that has a loader. This library has Redis behind it. */
export function localHitEntrants(port: number, source: DataSource): Entrant[] {
  const { load } = source;
  return [
    entrant('await lru.get(key)', 'floor', 'lru.get(key)', () => filledLru(source)),
    entrant('async function over a Map', 'peer', 'read(key)', () => asyncMap(source)),
    entrant(OURS.default, 'ours', 'cache.getOrSet(key, load)', () => openOurs(port), { load }),
    entrant(OURS.frozen, 'ours', 'cache.getOrSet(key, load)', () => openFrozen(port), { load }),
    entrant('lru-cache fetch', 'peer', 'lru.fetch(key)', () => lruFetch(source)),
    asyncCacheDedupe(source),
    cacheManager('cache-manager, Map without bound', source, () => new Keyv()),
    cacheManager('cache-manager, bounded', source, boundedKeyv),
    entrant(
      'cache-manager, its defaults',
      'peer',
      'cache.wrap(key, load)',
      () => ({ cache: createCache({ ttl: HOUR_MS }) }),
      {
        load,
      },
    ),
    entrant('@epic-web/cachified', 'peer', 'cachified({ key, cache, ttl, getFreshValue: load })', cachifiedLru, {
      load,
    }),
    entrant('cacheable', 'peer', 'cache.getOrSet(key, load)', openCacheable, { load }),
    entrant(
      'cacheable, its defaults',
      'peer',
      'cache.getOrSet(key, load)',
      () => ({ cache: new Cacheable({ ttl: HOUR_MS }) }),
      { load },
    ),
    bentocache('bentocache, serialize: false', source, { serialize: false, maxItems: MAX_ENTRIES }),
    bentocache('bentocache, its defaults', source, { maxItems: MAX_ENTRIES }),
  ];
}

function openFrozen(port: number) {
  return openOurs(port, { local: { values: 'frozen' }, keyPrefix: 'frozen' });
}

function filledLru(source: DataSource) {
  const lru = new LRUCache<string, object>({ max: MAX_ENTRIES });
  source.keys.forEach((key) => lru.set(key, source.valueOf(key)));
  return { lru };
}

/** The lowest cost of a cache that returns a promise. */
function asyncMap(source: DataSource) {
  const entries = new Map(source.keys.map((key) => [key, source.valueOf(key)]));
  return { read: async (key: string) => entries.get(key) ?? (await source.load()) };
}

function lruFetch({ load }: DataSource) {
  return { lru: new LRUCache<string, object>({ max: MAX_ENTRIES, ttl: HOUR_MS, fetchMethod: load }) };
}

export function asyncCacheDedupe({ load }: DataSource): Entrant {
  return entrant('async-cache-dedupe', 'peer', 'cache.product(key)', () => {
    const storage = { type: 'memory' as const, options: { size: MAX_ENTRIES } };
    return { cache: createDedupeCache({ ttl: HOUR_MS / 1000, storage }).define('product', load) };
  });
}

/** Without a serializer, as its documentation recommends for memory. */
function cacheManager(name: string, { load }: DataSource, openKeyv: () => Keyv): Entrant {
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

function bentocache(name: string, { load }: DataSource, memory: { serialize?: boolean; maxItems: number }): Entrant {
  const open = () => {
    const products = bentostore({ ttl: '1h' }).useL1Layer(memoryDriver(memory));
    const cache = new BentoCache({ default: 'products', stores: { products } });
    return { cache, close: () => cache.disconnectAll() };
  };
  return entrant(name, 'peer', 'cache.getOrSet({ key, factory: load })', open, { load });
}
