/** `degraded`: Redis can't be used and L1 serves; an HTTP health check answers 200 for it. */
export type CacheStatus = 'up' | 'degraded' | 'down';

export interface CacheHealthWire {
  readonly redis_connected: boolean;
  readonly local_cache_available: boolean;
  readonly overall_healthy: boolean;
  readonly status: CacheStatus;
  readonly message?: string;
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
    };
  }
}
