/** `degraded`: Redis can't be used and L1 serves; an HTTP health check answers 200 for it. */
export type CacheStatus = 'up' | 'degraded' | 'down';

/**
 * Whether this process hears of every change that others make: yes (`live`); only of what other processes of this cache
 * change, because this server can't or may not tell of the rest (`announced`); not at the moment (`lost`); never (`none`).
 */
export type InvalidationState = 'live' | 'announced' | 'lost' | 'none';

/** How the connection to Redis is, beyond whether it answers. */
export interface RedisFacts {
  /** What the cache makes of its connection: `live`, `down` (nothing waits for it), ... */
  readonly connection: string;
  readonly invalidation: InvalidationState;
  /** Invalidations that Redis has not acknowledged yet; replayed when it is back. */
  readonly journalLength: number;
  /** Since Redis last answered anything; `undefined` if it never did. */
  readonly sinceAnswerMs: number | undefined;
  /** In a cluster: how many of its masters can't be used. */
  readonly nodesDown: number;
}

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
  /** Only while there are any. */
  readonly nodes_down?: number;
}

/** What a health check found. Its JSON uses the wire names (`redis_connected`, ...). */
export class CacheHealth {
  constructor(
    readonly status: CacheStatus,
    /** Whether Redis answered this check; false where none is configured. */
    readonly redisConnected: boolean,
    readonly localCacheAvailable: boolean,
    /** Why it is not `up`. */
    readonly message?: string,
    /** Absent where no Redis is configured. */
    readonly redis?: RedisFacts,
  ) {}

  get overallHealthy(): boolean {
    return this.status !== 'down';
  }

  toJSON(): CacheHealthWire {
    return {
      redis_connected: this.redisConnected,
      local_cache_available: this.localCacheAvailable,
      overall_healthy: this.overallHealthy,
      status: this.status,
      ...(this.message === undefined ? {} : { message: this.message }),
      ...(this.redis === undefined ? {} : wireOf(this.redis)),
    };
  }
}

function wireOf(facts: RedisFacts): Partial<CacheHealthWire> {
  const { connection, invalidation, journalLength, sinceAnswerMs, nodesDown } = facts;
  return {
    ...(nodesDown === 0 ? {} : { nodes_down: nodesDown }),
    connection,
    invalidation,
    journal_length: journalLength,
    ...(sinceAnswerMs === undefined ? {} : { seconds_since_answer: Math.round(sinceAnswerMs / 100) / 10 }),
  };
}
