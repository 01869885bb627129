import type { CacheDimensions } from '../keys/index.js';
import { ScopedValue } from '../scope/index.js';

const requests = new ScopedValue<CacheDimensions>();

/**
 * The dimensions (tenant, locale, user) of the request that is being served, for `varyBy`. They follow the request
 * through all asynchronous calls. A middleware sets them, or `CacheContextInterceptor`.
 */
export const CacheContext = {
  /**
   * Runs `work`, and everything it starts, with these dimensions. Dimensions of an enclosing `run` that are not named
   * stay.
   */
  run<Result>(dimensions: CacheDimensions, work: () => Result): Result {
    return requests.run({ ...requests.current, ...dimensions }, work);
  },

  /** The dimensions of this request; `undefined` outside of every `run`. */
  get current(): CacheDimensions | undefined {
    return requests.current;
  },
};
