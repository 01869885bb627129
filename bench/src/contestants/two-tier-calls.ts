import { entrant, type Entrant } from '../measure/contestant.js';
import { openByHand } from './by-hand.js';
import {
  HOUR_MS,
  openAsyncCacheDedupe,
  openBentocache,
  openCacheable,
  openCachified,
  openCacheManager,
  openOurs,
  openRaw,
  type Loader,
} from './two-tiers.js';

const OURS = 'nestjs-distributed-cache';
const BY_HAND = 'by hand, with checksum and freezing';

/** Reads of a key that is in Redis and not in memory. */
export function readEntrants(port: number, load: Loader): Entrant[] {
  return [
    entrant('ioredis get + JSON.parse', 'floor', 'cache.get(key)', () => openRaw(port)),
    ...getOrSetEntrants(port, load),
    entrant(`${OURS}, get`, 'ours', 'cache.get(key)', () => openOurs(port)),
    entrant(`${OURS}, compression: false`, 'peer', 'cache.getOrSet(key, load)', () => openPlain(port), { load }),
  ];
}

/** Reads of a key that is in neither tier: the call runs the loader and stores its value. */
export function missEntrants(port: number, load: Loader): Entrant[] {
  return [
    entrant('ioredis get, loader, ioredis set', 'floor', 'cache.getOrSet(key, load)', () => openRaw(port), { load }),
    ...getOrSetEntrants(port, load),
  ];
}

function getOrSetEntrants(port: number, load: Loader): Entrant[] {
  return [
    entrant(OURS, 'ours', 'cache.getOrSet(key, load)', () => openOurs(port), { load }),
    entrant(BY_HAND, 'peer', 'cache.getOrSet(key, load)', () => openByHand(port), { load }),
    entrant('bentocache', 'peer', 'cache.getOrSet({ key, factory: load })', () => openBentocache(port), { load }),
    entrant('cache-manager', 'peer', 'cache.wrap(key, load)', () => openCacheManager(port), { load }),
    entrant('cacheable', 'peer', 'cache.getOrSet(key, load)', () => openCacheable(port), { load }),
    entrant(
      '@epic-web/cachified, one tier',
      'peer',
      'cachified({ key, cache, ttl, getFreshValue: load })',
      () => openCachified(port),
      { load, ttl: HOUR_MS },
    ),
    entrant('async-cache-dedupe, one tier', 'peer', 'cache.product(key)', () => openAsyncCacheDedupe(port, load)),
  ];
}

/** In these calls, `key` is a list of keys. */
export function readManyEntrants(port: number): Entrant[] {
  return [
    entrant('ioredis mget + JSON.parse', 'floor', 'cache.getMany(key)', () => openRaw(port)),
    entrant(OURS, 'ours', 'cache.getMany(key)', () => openOurs(port)),
    entrant(`${OURS}, compression: false`, 'peer', 'cache.getMany(key)', () => openPlain(port)),
    entrant(BY_HAND, 'peer', 'cache.getMany(key)', () => openByHand(port)),
    // bentocache has no call for several keys.
    entrant('bentocache', 'peer', 'Promise.all(key.map((each) => cache.get({ key: each })))', () =>
      openBentocache(port),
    ),
    entrant('cache-manager', 'peer', 'cache.mget(key)', () => openCacheManager(port)),
    entrant('cacheable', 'peer', 'cache.getMany(key)', () => openCacheable(port)),
  ];
}

/** In these calls, `key` is an item with `key` and `value`; each value is a new object. */
export function writeEntrants(port: number): Entrant[] {
  return [
    entrant('ioredis set + JSON.stringify', 'floor', 'cache.set(key.key, key.value)', () => openRaw(port)),
    entrant(OURS, 'ours', 'cache.set(key.key, key.value)', () => openOurs(port)),
    entrant(`${OURS}, compression: false`, 'peer', 'cache.set(key.key, key.value)', () => openPlain(port)),
    entrant('by hand, with checksum and lease drop', 'peer', 'cache.set(key.key, key.value)', () => openByHand(port)),
    entrant('bentocache', 'peer', 'cache.set({ key: key.key, value: key.value })', () => openBentocache(port)),
    entrant('cache-manager, without notification', 'peer', 'cache.set(key.key, key.value)', () =>
      openCacheManager(port),
    ),
    entrant('cacheable', 'peer', 'cache.set(key.key, key.value)', () => openCacheable(port, { sync: true })),
  ];
}

/** This library without its default compression from 1 KiB on: the difference to its other row is the price of compression. */
function openPlain(port: number): ReturnType<typeof openOurs> {
  return openOurs(port, { compression: false, keyPrefix: 'plain' });
}
