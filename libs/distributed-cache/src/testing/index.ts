/**
 * A real cache without Redis for unit tests, and a clock that a test moves.
 *
 * @module nestjs-distributed-cache/testing
 */

import { CacheConfig, DistributedCache, type CacheEvents, type DistributedCacheOptions } from '../core/index.js';
import { FakeClock } from './fake-clock.js';

export { FakeClock } from './fake-clock.js';

/** The options of {@link createTestCache}: those of the cache, and its clock and event bus. */
export interface TestCacheOptions extends DistributedCacheOptions {
  /** The clock of the cache. Default: a `FakeClock` of its own. */
  readonly clock?: FakeClock;
  /** The event bus of the cache. Default: a bus of its own. */
  readonly events?: CacheEvents;
}

/** What {@link createTestCache} returns. */
export interface TestCache {
  /** A real cache, in this process's memory alone. */
  readonly cache: DistributedCache;
  /** The clock of the cache: `clock.advance(60_000)` makes entries a minute older. */
  readonly clock: FakeClock;
}

/**
 * Makes a cache for unit tests. It has no Redis unless `redis` is given, a clock that moves only by `advance` and
 * `set`, and no randomness (no early refresh, no jitter of TTLs). It ignores environment variables, so that a test
 * gives the same result on every machine. No connection has to be awaited, and it keeps no process alive; `await
 * cache.close()` empties it.
 * Make it before a test fakes timers: a timer that is made while timers are fake never fires. docs/testing.md has examples.
 * @param options as for `createDistributedCache`
 * @throws ConfigurationError with every mistake in the options
 */
export function createTestCache(options: TestCacheOptions = {}): TestCache {
  const { clock = new FakeClock(), events, redis = false, ...others } = options;
  const config = CacheConfig.resolve({ ...others, redis }, {});
  return { cache: new DistributedCache(config, { clock, events, random: () => 1 }), clock };
}
