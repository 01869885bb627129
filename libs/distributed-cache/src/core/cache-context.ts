import type { CacheDimensions } from '../keys/index.js';
import { ScopedValue } from '../scope/index.js';

const requests = new ScopedValue<CacheDimensions>();

/**
 * The dimensions (tenant, locale, user) of the request that is being served, for `varyBy`. It follows the request through
 * everything asynchronous; put them there in a middleware, or with `CacheContextInterceptor`.
 */
export const CacheContext = {
  /** Runs `work`, and whatever it starts, with these dimensions; those of a `run` around it stay where they are not named. */
  run<Result>(dimensions: CacheDimensions, work: () => Result): Result {
    return requests.run({ ...requests.current, ...dimensions }, work);
  },

  /** The dimensions of this request; `undefined` outside of every `run`. */
  get current(): CacheDimensions | undefined {
    return requests.current;
  },
};
