/** The health of the cache. `degraded`: Redis can't be used and L1 serves; an HTTP health check answers 200 for it. */
export type CacheStatus = 'up' | 'degraded' | 'down';

/**
 * Whether this process receives every change by others. `live`: yes. `announced`: only changes by other processes of
 * this cache, because this server can't or may not report the rest. `lost`: not at the moment. `none`: never.
 */
export type InvalidationState = 'live' | 'announced' | 'lost' | 'none';

/** The state of the connection to Redis, in more detail than whether it answers. */
export interface RedisFacts {
  /** The state of the connection: `live`, `down` (no operation waits for it), ... */
  readonly connection: string;
  readonly invalidation: InvalidationState;
  /** Invalidations that Redis has not acknowledged yet; replayed when it is back. */
  readonly journalLength: number;
  /** Time since the last answer of Redis, in milliseconds; `undefined` if there was none. */
  readonly sinceAnswerMs: number | undefined;
  /** In a cluster: the number of masters that can't be used. */
  readonly nodesDown: number;
  /** Absent when `redis.home` is `primary`. */
  readonly home?: HomeState;
  /** Whether this process relays invalidations to other regions, or another one does; absent without a relay. */
  readonly relay?: 'leads' | 'follows';
}

/** Where a process with `redis.home` reads and listens. */
export interface HomeState {
  /** `primary`, or the `host:port` of the replica. */
  readonly home: string;
  /** The most that the replica lagged behind at the last comparison, in milliseconds; `undefined` at the primary. */
  readonly lagMs: number | undefined;
  /** The number of keys that are read at the primary, because the replica may lack their changes; 0 at the primary. */
  readonly aheadKeys: number;
  /** Why the primary is the home; `undefined` while a replica is, and until the first search has ended. */
  readonly problem: string | undefined;
}

/** The health of the cache in its JSON form. */
export interface CacheHealthWire {
  readonly redis_connected: boolean;
  readonly local_cache_available: boolean;
  readonly overall_healthy: boolean;
  readonly status: CacheStatus;
  readonly message?: string;
  readonly connection?: string;
  readonly invalidation?: InvalidationState;
  readonly journal_length?: number;
  readonly seconds_since_answer?: number;
  /** Present only while there are any. */
  readonly nodes_down?: number;
  /** `primary`, or the `host:port` of a replica; present only with `redis.home`, as are the next three. */
  readonly home?: string;
  readonly home_lag_seconds?: number;
  readonly ahead_keys?: number;
  /** Why the primary is the home. */
  readonly home_problem?: string;
  /** Whether the process is warming up; present only with the option `warmUp`. */
  readonly warming?: boolean;
  /** The command of `warmUp` that Redis refuses, with its reply; present only then. */
  readonly warm_up_refused?: string;
  /** Present only where a relay to other regions runs. */
  readonly relay?: 'leads' | 'follows';
}

/** The state of the warm-up. */
export interface WarmUpHealth {
  readonly isWarm: boolean;
  /** The command on the hot keys that Redis refuses, with its reply: `ZINCRBY NOPERM`. */
  readonly refused?: string | undefined;
}

/** The result of a health check. The JSON form uses the wire names (`redis_connected`, ...). */
export class CacheHealth {
  constructor(
    /** `down` only if neither tier serves, or if `requireRedis` is set and Redis can't be used. */
    readonly status: CacheStatus,
    /** Whether Redis answered this check; false when none is configured. */
    readonly redisConnected: boolean,
    /** Whether this process has an L1. */
    readonly localCacheAvailable: boolean,
    /** Why the status is not `up`. */
    readonly message?: string,
    /** Absent when no Redis is configured. */
    readonly redis?: RedisFacts,
    /** Absent without the option `warmUp`. */
    readonly warmUp?: WarmUpHealth,
  ) {}

  get overallHealthy(): boolean {
    return this.status !== 'down';
  }

  /** The health with the wire names (`redis_connected`). */
  toJSON(): CacheHealthWire {
    return {
      redis_connected: this.redisConnected,
      local_cache_available: this.localCacheAvailable,
      overall_healthy: this.overallHealthy,
      status: this.status,
      ...(this.message === undefined ? {} : { message: this.message }),
      ...(this.redis === undefined ? {} : wireOf(this.redis)),
      ...(this.warmUp === undefined ? {} : { warming: !this.warmUp.isWarm }),
      ...(this.warmUp?.refused === undefined ? {} : { warm_up_refused: this.warmUp.refused }),
    };
  }
}

function wireOf(facts: RedisFacts): Partial<CacheHealthWire> {
  const { connection, invalidation, journalLength, sinceAnswerMs, nodesDown, home, relay } = facts;
  return {
    ...(nodesDown === 0 ? {} : { nodes_down: nodesDown }),
    ...(relay === undefined ? {} : { relay }),
    connection,
    invalidation,
    journal_length: journalLength,
    ...(sinceAnswerMs === undefined ? {} : { seconds_since_answer: Math.round(sinceAnswerMs / 100) / 10 }),
    ...(home === undefined ? {} : wireOfHome(home)),
  };
}

function wireOfHome({ home, lagMs, aheadKeys, problem }: HomeState): Partial<CacheHealthWire> {
  return {
    home,
    ...(lagMs === undefined ? {} : { home_lag_seconds: Math.round(lagMs) / 1000, ahead_keys: aheadKeys }),
    ...(problem === undefined ? {} : { home_problem: problem }),
  };
}
