import { CacheableMemory } from 'cacheable';
import { createCache as createDedupeCache } from 'async-cache-dedupe';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import { LRUCache } from 'lru-cache';
import { createDistributedCache } from 'nestjs-distributed-cache/core';
import type { Named } from '../measure/rounds.js';
import { HOUR_MS } from './two-tiers.js';

interface Memory {
  readonly put: (key: string, value: object) => unknown;
  readonly close?: () => Promise<unknown>;
}

/** Memory without Redis, with a TTL and, if the cache supports one, a bound. */
export function localMemories(max: number): (Named & { readonly open: () => Promise<Memory> })[] {
  return [
    { name: 'Map', role: 'floor', open: async () => plainMap() },
    { name: 'nestjs-distributed-cache', role: 'ours', open: ours },
    { name: 'lru-cache', role: 'peer', open: async () => lru({ max }) },
    { name: 'lru-cache with a TTL and a bound in bytes', role: 'peer', open: async () => lru(boundedByBytes(max)) },
    { name: 'async-cache-dedupe', role: 'peer', open: async () => dedupe(max) },
    { name: 'cache-manager', role: 'peer', open: async () => cacheManager() },
    { name: 'cacheable memory', role: 'peer', open: async () => cacheableMemory(max) },
    { name: 'bentocache, serialize: false', role: 'peer', open: async () => bentocache(max) },
  ];
}

function plainMap(): Memory {
  const map = new Map<string, object>();
  return { put: (key, value) => map.set(key, value) };
}

/** With `values: 'shared'` it keeps the given objects, as the others do; in the other modes L1 has copies of its own. */
async function ours(): Promise<Memory> {
  const distributed = await createDistributedCache({ redis: false, local: { maxMemoryMb: 1024, values: 'shared' } });
  const cache = distributed.getCache<object>('products');
  return { put: (key, value) => cache.set(key, value), close: () => distributed.close() };
}

function lru(options: LRUCache.Options<string, object, unknown>): Memory {
  const cache = new LRUCache<string, object>(options);
  return { put: (key, value) => cache.set(key, value) };
}

function boundedByBytes(max: number): LRUCache.Options<string, object, unknown> {
  return { maxSize: max * 1000, sizeCalculation: () => 100, ttl: HOUR_MS };
}

function dedupe(size: number): Memory {
  let next: object = {};
  const storage = { type: 'memory' as const, options: { size } };
  const cache = createDedupeCache({ ttl: HOUR_MS / 1000, storage }).define('product', (_key: string) => next);
  return {
    put: (key, value) => {
      next = value;
      return cache.product(key);
    },
  };
}

function cacheManager(): Memory {
  const keyv = new Keyv();
  keyv.serialize = undefined;
  keyv.deserialize = undefined;
  const cache = createCache({ stores: [keyv], ttl: HOUR_MS });
  return { put: (key, value) => cache.set(key, value) };
}

function cacheableMemory(lruSize: number): Memory {
  const cache = new CacheableMemory({ lruSize, ttl: HOUR_MS, useClone: false });
  return { put: (key, value) => cache.set(key, value) };
}

function bentocache(maxItems: number): Memory {
  const store = bentostore({ ttl: '1h' }).useL1Layer(memoryDriver({ maxItems, serialize: false }));
  const cache = new BentoCache({ default: 'products', stores: { products: store } });
  return { put: (key, value) => cache.set({ key, value }), close: () => cache.disconnectAll() };
}
