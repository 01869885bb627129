import { cachified } from '@epic-web/cachified';
import type { Contestant } from '../measure/contestant.js';
import {
  HOUR_MS,
  openAsyncCacheDedupe,
  openBentocache,
  openCacheable,
  openCachified,
  openCacheManager,
  openOurs,
  type Loader,
} from './two-tiers.js';

export type Call = (key: string) => Promise<unknown>;

export interface StormContestant {
  readonly name: string;
  readonly role: Contestant['role'];
  readonly call: Call;
  readonly close: () => Promise<unknown>;
}

/** With two tiers if the cache has two, as in the other tables. */
export async function openStormContestants(port: number, load: Loader): Promise<StormContestant[]> {
  const ours = await openOurs(port);
  const bento = await openBentocache(port);
  const manager = await openCacheManager(port);
  const cacheable = await openCacheable(port);
  const single = await openCachified(port);
  const dedupe = await openAsyncCacheDedupe(port, load);
  return [
    peer('nestjs-distributed-cache', (key) => ours.cache.getOrSet(key, load), ours.close, 'ours'),
    peer('bentocache', (key) => bento.cache.getOrSet({ key, factory: load }), bento.close),
    peer('cache-manager', (key) => manager.cache.wrap(key, load), manager.close),
    peer('cacheable', (key) => cacheable.cache.getOrSet(key, load), cacheable.close),
    peer(
      '@epic-web/cachified',
      (key) => cachified({ key, cache: single.cache, ttl: HOUR_MS, getFreshValue: load }),
      single.close,
    ),
    peer('async-cache-dedupe', (key) => dedupe.cache.product(key), dedupe.close),
  ];
}

function peer(
  name: string,
  call: Call,
  close: () => Promise<unknown>,
  role: StormContestant['role'] = 'peer',
): StormContestant {
  return { name, role, call, close };
}
