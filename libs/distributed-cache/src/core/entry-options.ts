import type { Duration } from '../config/index.js';

/** What a loader is given. */
export interface LoaderContext {
  /** Aborted when the cache is closed: pass it to what the loader waits for. */
  readonly signal: AbortSignal;
  /** The value that is being replaced, where a stale one is still there. */
  readonly stale?: unknown;
  /** Sets the TTL of what this run returns; beats every other TTL. */
  setTtl(ttl: Duration): void;
  /** Hands the result to the callers without storing it. */
  skip(): void;
}

/** Makes the value. What it throws reaches the caller as the same object. */
export type Loader<T> = (context: LoaderContext) => T | Promise<T>;

/** How one entry is kept; what is not given comes from its namespace. */
export interface EntryOptions<T = unknown> {
  /** How long the value is fresh; may depend on the value. */
  readonly ttl?: Duration | ((value: T) => Duration);
  /** How long it is kept after its TTL, to be served when a loader fails. */
  readonly grace?: Duration;
  /** Stores the value only where this returns true. Default: always. */
  readonly cacheIf?: (value: T) => boolean;
}
