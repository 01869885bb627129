import { CacheError } from './cache-error.js';

/**
 * A loader asks, directly or through the loaders of other keys, for the key that it is loading: it would wait for itself.
 * Rejects the innermost call, from where the error goes through the loaders to every caller. This error alone carries whole keys.
 */
export class LoadCycleError extends CacheError {
  override readonly name = 'LoadCycleError';
  readonly code = 'CACHE_LOAD_CYCLE';

  /** @param keys `namespace:key` of each load that waits for the next one; the last one is the first */
  constructor(readonly keys: readonly string[]) {
    super(`The load of a key waits for itself: ${keys.join(' -> ')}`);
  }
}
