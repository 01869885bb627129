import type { Named } from '../measure/rounds.js';
import { openBentocache, openCacheable, openCacheManager, openOurs, type Loader } from './two-tiers.js';

export interface OutageContestant extends Named {
  readonly open: (port: number) => Promise<{
    readonly call: (key: string, load: Loader) => Promise<unknown>;
    readonly close: () => Promise<unknown>;
  }>;
}

export const TTL_MS = 1000;

/** The TTL is short, so hits, loads and writes occur throughout the run. */
export const OUTAGE_CONTESTANTS: readonly OutageContestant[] = [
  { name: 'no cache', role: 'floor', open: async () => ({ call: (_key, load) => load(), close: async () => {} }) },
  {
    name: 'nestjs-distributed-cache',
    role: 'ours',
    open: async (port) => {
      const { cache, close } = await openOurs(port);
      return { call: (key, load) => cache.getOrSet(key, load, { ttl: '1s' }), close };
    },
  },
  {
    name: 'bentocache',
    role: 'peer',
    open: async (port) => {
      const { cache, close } = await openBentocache(port);
      return { call: (key, load) => cache.getOrSet({ key, factory: load, ttl: '1s' }), close };
    },
  },
  {
    name: 'cache-manager',
    role: 'peer',
    open: async (port) => {
      const { cache, close } = await openCacheManager(port);
      return { call: (key, load) => cache.wrap(key, load, TTL_MS), close };
    },
  },
  {
    name: 'cacheable',
    role: 'peer',
    open: async (port) => {
      const { cache, close } = await openCacheable(port);
      return { call: (key, load) => cache.getOrSet(key, load, { ttl: TTL_MS }), close };
    },
  },
];
