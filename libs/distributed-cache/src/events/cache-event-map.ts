import type { CacheHealth } from './cache-health.js';

/** The tier that answered. */
export type AnsweringTier = 'local' | 'redis';

/** Why Redis can't be used: the first word of its error (`WRONGPASS`), a system code (`ECONNREFUSED`), or ours (`timeout`). */
export type OutageReason = string;

interface OfNamespace {
  readonly namespace: string;
}

interface OfKey extends OfNamespace {
  /** The whole key, as the caller gave it: shorten it with `describeKey` before it leaves the process. */
  readonly key: string;
}

/** A value is not as its schema wants it (`issues`), or the schema (`threw`) or `migrate` failed. */
export interface SchemaMismatch {
  /** `read`: it came from Redis, and is a miss. `store`: it was just made, and is not stored. */
  readonly during: 'read' | 'store';
  readonly cause: 'issues' | 'threw' | 'migrate';
}

/**
 * Everything that the cache tells. Each event is emitted in the asynchronous context of the call that
 * caused it, so a listener may read an `AsyncLocalStorage`. No payload carries a cached value.
 */
export interface CacheEventMap {
  /** A lookup was answered by a tier. `ttlMs` is what is left of the fresh life; zero or less for a stale value. */
  hit: OfKey & { readonly tier: AnsweringTier; readonly state: 'fresh' | 'stale'; readonly ttlMs: number };
  /**
   * A lookup was answered by no tier. `stale`: there was a value, past its TTL. `collapsed`: the call waited for a load
   * that another call had started. `stored`: what the loader returned was stored.
   */
  miss: OfKey & { readonly stale: boolean; readonly collapsed: boolean; readonly stored: boolean };
  /** A loader ended; `failed` when it threw. */
  load: OfKey & { readonly durationMs: number; readonly failed: boolean };
  set: OfKey & { readonly ttlMs: number; readonly redis: boolean };
  delete: OfKey & { readonly existed: boolean };
  clear: OfNamespace;
  /** A value that no tier can keep; `reason` says why. */
  valueRefused: OfKey & { readonly reason: string };
  schemaMismatch: OfKey & SchemaMismatch;
  /**
   * A call was not cached because dimensions of its `varyBy` are missing in the request. Told once for each `caller`: a
   * decorated method (`Users.find`), or the method of the cache that was called by hand.
   */
  dimensionMissing: OfNamespace & { readonly caller: string; readonly dimensions: readonly string[] };
  /** Instances of this class are kept as plain objects, because it is not registered (`codec.classes`). Told once a class. */
  instanceFlattened: OfKey & { readonly className: string };
  /** A tier failed and the call went on without it. */
  tierError: OfNamespace & {
    readonly tier: AnsweringTier;
    readonly operation: 'get' | 'set' | 'delete' | 'clear';
    readonly error: Error;
  };
  /**
   * This process sends more to Redis than Redis answers, and the queue between them is full: the operation was not sent, and the call went
   * on without Redis. Redis itself is well.
   */
  overload: OfNamespace & { readonly operation: 'get' | 'set' | 'delete' | 'clear' };
  /** Redis answers (again). `downMs` is the length of the outage, 0 at the first connection. */
  redisConnected: { readonly address: string; readonly downMs: number };
  redisConnectionFailed: { readonly address: string; readonly reason: OutageReason };
  /**
   * Redis answers, and does not carry out a command: the user has no right to it, the server does not have it, or takes no writes
   * (`reply`: the first word of its answer). `effect` says what is lost. Told once for each command and reply.
   */
  redisRefused: {
    readonly command: string;
    readonly keyPattern: string;
    readonly reply: OutageReason;
    readonly effect: string;
  };
  fallbackOn: { readonly reason: OutageReason };
  fallbackOff: { readonly downMs: number };
  /** After an `invalidationOff`: every change that others make is heard of again, and L1 is trusted. */
  invalidationOn: object;
  /** Redis serves, but changes of others may be missed: L1 is passed over. */
  invalidationOff: object;
  /** The periodic health check. */
  healthChecked: { readonly health: CacheHealth };
}

export type CacheEventName = keyof CacheEventMap;
