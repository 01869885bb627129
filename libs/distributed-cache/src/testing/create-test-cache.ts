import { CacheConfig, DistributedCache, type CacheEvents, type DistributedCacheOptions } from '../core/index.js';
import { FakeClock } from './fake-clock.js';

export interface TestCacheOptions extends DistributedCacheOptions {
  /** Default: a `FakeClock` of its own. */
  readonly clock?: FakeClock;
  /** Default: a bus of its own. */
  readonly events?: CacheEvents;
}

export interface TestCache {
  /** The real thing, on this process's memory alone. */
  readonly cache: DistributedCache;
  /** Its time: `clock.advance(60_000)` makes entries a minute older. */
  readonly clock: FakeClock;
}

/**
 * A cache for unit tests: without Redis unless `redis` is given, with a clock that stands still, without chance (no early
 * refresh, no jitter of TTLs), and blind to environment
 * variables, so that a test gives the same result on every machine. Nothing has to be awaited, and it keeps no process
 * alive; `await cache.close()` empties it.
 * @param options as for `createDistributedCache`
 * @throws ConfigurationError with every mistake in the options
 */
export function createTestCache(options: TestCacheOptions = {}): TestCache {
  const { clock = new FakeClock(), events, redis = false, ...others } = options;
  const config = CacheConfig.resolve({ ...others, redis }, {});
  return { cache: new DistributedCache(config, { clock, events, random: () => 1 }), clock };
}
