import { CacheError } from './cache-error.js';

/**
 * A call has waited for a load for longer than its `hardTimeout`. If it was its own loader that ran, its signal is aborted, and what it
 * returns later is dropped.
 */
export class LoaderTimeoutError extends CacheError {
  override readonly name = 'LoaderTimeoutError';
  readonly code = 'CACHE_LOADER_TIMEOUT';

  constructor(readonly timeoutMs: number) {
    super(`The load was not done in ${timeoutMs} ms (hardTimeout)`);
  }
}
