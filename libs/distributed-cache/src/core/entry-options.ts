import type { Duration, StandardSchemaV1, ValidateMode } from '../config/index.js';

/** What a loader is given. */
export interface LoaderContext {
  /** Aborted at `hardTimeout` and when the cache is closed: pass it to what the loader waits for. */
  readonly signal: AbortSignal;
  /** The value that is being replaced, where a stale one is still there. */
  readonly stale?: unknown;
  /** Sets the TTL of what this run returns; beats every other TTL. */
  setTtl(ttl: Duration): void;
  /** Tags what this run returns, besides the tags of the options. */
  addTags(...tags: string[]): void;
  /** Hands the result to the callers without storing it. */
  skip(): void;
}

/** Makes the value. What it throws reaches the caller as the same object. */
export type Loader<T> = (context: LoaderContext) => T | Promise<T>;

/** What a key depends on besides itself. */
export interface KeyOptions {
  /**
   * Names of dimensions of the request (`tenant`, `locale`) that the value depends on: each of their values has an entry of its
   * own. They come from `CacheContext.run`, else from the `context` option; where one is missing, nothing is cached.
   */
  readonly varyBy?: readonly string[];
  /** The version of the code that makes the value: under another one entries of before are not found. */
  readonly version?: string | number;
}

/** How one entry is kept; what is not given comes from its namespace. */
export interface EntryOptions<T = unknown> extends KeyOptions {
  /** How long the value is fresh; may depend on the value. */
  readonly ttl?: Duration | ((value: T) => Duration);
  /** How long it is kept after its TTL, to be served when a loader fails. */
  readonly grace?: Duration;
  /** `invalidateTags` with one of these makes the entry a miss. */
  readonly tags?: readonly string[];
  /**
   * The part of the TTL (0 to 1, exclusive) after which a hit starts a refresh in the background. Default: the XFetch rule, by
   * which a refresh becomes the likelier the closer the expiry and the slower the loader (Vattani, Chierichetti and
   * Lowenstein, Optimal Probabilistic Cache Stampede Prevention, VLDB 2015).
   */
  readonly refreshAhead?: number;
  /** A stale value is returned if the load takes longer, whichever call began it; it goes on, and its result is stored. Default: none. */
  readonly softTimeout?: Duration;
  /**
   * The most that this call waits for a load, its own, one that it has joined or another process's: then a stale value, or a
   * `LoaderTimeoutError`. Its own loader is given up at the same time. Default: none.
   */
  readonly hardTimeout?: Duration;
  /** Which errors of the loader a stale value may stand in for; the others reach the caller. Default: all. */
  readonly staleIf?: (error: unknown) => boolean;
  /**
   * What the value must be, instead of the namespace's `schema`: checked when it comes from Redis. A value that is not is a miss; one
   * that is comes as the schema gives it back.
   */
  readonly schema?: StandardSchemaV1;
  /** `both`: the value is checked before it is stored, too; if it does not fit it is returned and not stored. */
  readonly validate?: ValidateMode;
  /** Stores the value only where this returns true. Default: always. */
  readonly cacheIf?: (value: T) => boolean;
}

/** Whether the options make another key of the one given. */
export function hasOwnKey({ varyBy, version }: KeyOptions): boolean {
  return varyBy !== undefined || version !== undefined;
}
