import { CacheError } from './cache-error.js';

/**
 * A call has waited for a load for longer than its `hardTimeout`. If its own loader was running, the loader's signal is
 * aborted, and its later result is dropped.
 */
export class LoaderTimeoutError extends CacheError {
  override readonly name = 'LoaderTimeoutError';
  readonly code = 'CACHE_LOADER_TIMEOUT';

  constructor(readonly timeoutMs: number) {
    super(`The load was not done in ${timeoutMs} ms (hardTimeout)`);
  }
}
