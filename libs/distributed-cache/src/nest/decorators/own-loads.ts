import type { AsyncCache, CacheKey } from '../../core/index.js';
import { ScopedValue } from '../../scope/index.js';

interface OwnLoad {
  readonly cache: AsyncCache;
  readonly key: string;
  readonly outer: OwnLoad | undefined;
  isRunning: boolean;
}

const ownLoads = new ScopedValue<OwnLoad>();
/** The number of loads that run. While it is 0, which is usual and cheap, no call is part of a load. */
let running = 0;

/**
 * Whether the call is part of a load of this very key: an override that calls `super.find()` when both methods have the
 * same `key` option. Such a call must run its method: otherwise it would wait for itself.
 */
export function isOwnLoad(cache: AsyncCache, key: CacheKey): boolean {
  if (running === 0) {
    return false;
  }
  const name = String(key);
  for (let load = ownLoads.current; load !== undefined; load = load.outer) {
    if (load.isRunning && load.key === name && load.cache === cache) {
      return true;
    }
  }
  return false;
}

/** Runs the method as the load of a key. Work that it leaves running (a timer, a socket) is not part of the load. */
export async function runAsLoad<Result>(
  cache: AsyncCache,
  key: CacheKey,
  method: () => Promise<Result>,
): Promise<Result> {
  const load: OwnLoad = { cache, key: String(key), outer: ownLoads.current, isRunning: true };
  running++;
  try {
    return await ownLoads.run(load, method);
  } finally {
    load.isRunning = false;
    running--;
  }
}
