import type { Named } from '../measure/rounds.js';
import { openBentocache, openCacheable, openOurs } from './two-tiers.js';

export interface PropagationCache {
  readonly get: (key: string) => Promise<unknown>;
  readonly set: (key: string, value: object) => Promise<unknown>;
  readonly delete: (key: string) => Promise<unknown>;
  readonly close: () => Promise<unknown>;
}

/** The caches that notify other processes of a deletion. cache-manager, cachified and async-cache-dedupe do not. */
export const PROPAGATION_CACHES: readonly (Named & { open: (port: number) => Promise<PropagationCache> })[] = [
  {
    name: 'nestjs-distributed-cache',
    role: 'ours',
    open: async (port) => {
      const { cache, close } = await openOurs(port);
      return {
        get: (key) => cache.get(key),
        set: (key, value) => cache.set(key, value),
        delete: (key) => cache.delete(key),
        close,
      };
    },
  },
  {
    name: 'bentocache',
    role: 'peer',
    open: async (port) => {
      const { cache, close } = await openBentocache(port);
      return {
        get: (key) => cache.get({ key }),
        set: (key, value) => cache.set({ key, value }),
        delete: (key) => cache.delete({ key }),
        close,
      };
    },
  },
  {
    name: 'cacheable with sync',
    role: 'peer',
    open: async (port) => {
      const { cache, close } = await openCacheable(port, { sync: true });
      return {
        get: (key) => cache.get(key),
        set: (key, value) => cache.set(key, value),
        delete: (key) => cache.delete(key),
        close,
      };
    },
  },
];
