import { CacheError } from './cache-error.js';

/**
 * A loader requests, directly or through the loaders of other keys, the key that it is loading: it would wait for
 * itself. The innermost call rejects, and the error passes through the loaders to every caller. Only this error carries
 * whole keys.
 */
export class LoadCycleError extends CacheError {
  override readonly name = 'LoadCycleError';
  readonly code = 'CACHE_LOAD_CYCLE';

  /** @param keys `namespace:key` of each load that waits for the next one; the last one equals the first */
  constructor(readonly keys: readonly string[]) {
    super(`The load of a key waits for itself: ${keys.join(' -> ')}`);
  }
}
