import { CacheError } from './cache-error.js';

/** A loader ran for longer than `hardTimeout`. Its signal is aborted; what it returns later is dropped. */
export class LoaderTimeoutError extends CacheError {
  override readonly name = 'LoaderTimeoutError';
  readonly code = 'CACHE_LOADER_TIMEOUT';

  constructor(readonly timeoutMs: number) {
    super(`The loader was not done in ${timeoutMs} ms (hardTimeout)`);
  }
}
