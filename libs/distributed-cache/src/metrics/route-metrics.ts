import type { RequestCacheUsage } from './request-cache-usage.js';

/** One route's counters, in their JSON form. */
export interface RouteUsageWire {
  readonly route: string;
  readonly requests: number;
  readonly fully_cached_requests: number;
  readonly local_hits: number;
  readonly redis_hits: number;
  readonly stale_served: number;
  readonly misses: number;
  readonly hit_rate_percent: number;
}

/**
 * The use of the cache by the requests of one route. A snapshot: it does not change. The JSON form uses the wire names.
 */
export class RouteUsage {
  constructor(
    readonly route: string,
    readonly requests: number,
    /** Requests whose every lookup was a hit; a request without a lookup does not count. */
    readonly fullyCachedRequests: number,
    readonly localHits: number,
    readonly redisHits: number,
    /** Hits past their TTL. Part of the hits. */
    readonly staleServed: number,
    readonly misses: number,
  ) {}

  /** From 0 to 100, with two decimals; 0 before the first lookup. */
  get hitRatePercent(): number {
    const hits = this.localHits + this.redisHits;
    const lookups = hits + this.misses;
    return lookups === 0 ? 0 : Math.round((hits / lookups) * 10_000) / 100;
  }

  /** The counters with the wire names (`hit_rate_percent`). */
  toJSON(): RouteUsageWire {
    return {
      route: this.route,
      requests: this.requests,
      fully_cached_requests: this.fullyCachedRequests,
      local_hits: this.localHits,
      redis_hits: this.redisHits,
      stale_served: this.staleServed,
      misses: this.misses,
      hit_rate_percent: this.hitRatePercent,
    };
  }
}

export interface RouteMetricsOptions {
  /**
   * Maximum number of routes that are counted by name; the requests of all others are counted as `other`. Default 1000.
   */
  readonly maxRoutes?: number;
}

/** The name under which routes over the limit are counted. */
const OTHER_ROUTES = 'other';
const DEFAULT_MAX_ROUTES = 1000;

interface RouteCounts {
  requests: number;
  fullyCached: number;
  localHits: number;
  redisHits: number;
  stale: number;
  misses: number;
}

/**
 * Counts the use of the cache per route, in this process, since it started. A route is a pattern (`GET
 * /insights/:term`), never a path. If a path is recorded all the same, the number of routes is still limited.
 */
export class RouteMetrics {
  private readonly routes = new Map<string, RouteCounts>();
  private readonly maxRoutes: number;

  constructor({ maxRoutes = DEFAULT_MAX_ROUTES }: RouteMetricsOptions = {}) {
    this.maxRoutes = maxRoutes;
  }

  /** Counts one finished request. */
  record(route: string, usage: RequestCacheUsage): void {
    const counts = this.countsOf(route);
    counts.requests++;
    counts.fullyCached += usage.isFullyCached ? 1 : 0;
    counts.localHits += usage.localHits;
    counts.redisHits += usage.redisHits;
    counts.stale += usage.staleHits;
    counts.misses += usage.misses;
  }

  /** One entry per route, in the order of their first requests. */
  snapshot(): RouteUsage[] {
    return [...this.routes].map(
      ([route, counts]) =>
        new RouteUsage(
          route,
          counts.requests,
          counts.fullyCached,
          counts.localHits,
          counts.redisHits,
          counts.stale,
          counts.misses,
        ),
    );
  }

  private countsOf(route: string): RouteCounts {
    const known = this.routes.get(route);
    if (known !== undefined) {
      return known;
    }
    if (this.routes.size >= this.maxRoutes && route !== OTHER_ROUTES) {
      return this.countsOf(OTHER_ROUTES);
    }
    const counts = { requests: 0, fullyCached: 0, localHits: 0, redisHits: 0, stale: 0, misses: 0 };
    this.routes.set(route, counts);
    return counts;
  }
}
