import { type AnsweringTier, type CacheEventMap, hitRatePercent } from '../events/index.js';

type Hit = CacheEventMap['hit'];
type Miss = CacheEventMap['miss'];

/** Maximum number of lookups that `Cache-Status` lists: a header is not a log. */
const MAX_MEMBERS = 8;

/** The `Cache-Status` of a request without any lookup. */
const NO_LOOKUP = 'distributed-cache; fwd=bypass';

/** A structured field token begins with a letter (or `*`); any other name of a namespace is written as a string. */
const TOKEN = /^[A-Za-z][A-Za-z0-9_.-]*$/;

/**
 * The use of the cache by one request: how many lookups were answered by which tier, and the `Cache-Status` value for
 * them. It is updated by the `hit` and `miss` events that the request causes. It keeps no key.
 */
export class RequestCacheUsage {
  /** Lookups that L1 of this process answered. */
  localHits = 0;
  /** Lookups that Redis answered. */
  redisHits = 0;
  /** Hits past their TTL, within their grace. Part of the hits. */
  staleHits = 0;
  /** Lookups that no tier answered. */
  misses = 0;
  private status = '';

  /** Adds a lookup that a tier answered. */
  hit(hit: Pick<Hit, 'namespace' | 'tier' | 'state' | 'ttlMs'>): void {
    if (this.lookups < MAX_MEMBERS) {
      this.append(hitMember(hit));
    }
    this.count(hit.tier);
    if (hit.state === 'stale') {
      this.staleHits++;
    }
  }

  /** Adds a lookup that no tier answered. */
  miss(miss: Pick<Miss, 'namespace' | 'stale' | 'collapsed' | 'stored'>): void {
    if (this.lookups < MAX_MEMBERS) {
      this.append(missMember(miss));
    }
    this.misses++;
  }

  get hits(): number {
    return this.localHits + this.redisHits;
  }

  get lookups(): number {
    return this.hits + this.misses;
  }

  /** Whether the cache answered every lookup of the request; false when there was none. */
  get isFullyCached(): boolean {
    return this.hits > 0 && this.misses === 0;
  }

  /**
   * The value of the `Cache-Status` header (RFC 9211): one member per lookup, in their order, the first eight at most.
   * The namespace is the cache's name; TTLs are whole seconds (negative: past it). Never a key.
   */
  toCacheStatus(): string {
    return this.status === '' ? NO_LOOKUP : this.status;
  }

  private count(tier: AnsweringTier): void {
    if (tier === 'local') {
      this.localHits++;
    } else {
      this.redisHits++;
    }
  }

  private append(member: string): void {
    this.status = this.status === '' ? member : `${this.status}, ${member}`;
  }
}

/** The member of a `Cache-Status` list (RFC 9211 section 2) for a hit; its TTL is in whole seconds. */
function hitMember({ namespace, tier, ttlMs }: Pick<CacheEventMap['hit'], 'namespace' | 'tier' | 'ttlMs'>): string {
  return `${nameOf(namespace)}; hit; ttl=${Math.floor(ttlMs / 1000)}; detail=${tier}`;
}

/**
 * The member of a `Cache-Status` list (RFC 9211 section 2) for a miss: why it was one, whether its result was stored,
 * and whether the call joined the load of another call.
 */
function missMember({
  namespace,
  stale,
  stored,
  collapsed,
}: Pick<CacheEventMap['miss'], 'namespace' | 'stale' | 'stored' | 'collapsed'>): string {
  const reason = stale ? 'stale' : 'miss';
  return `${nameOf(namespace)}; fwd=${reason}${stored ? '; stored' : ''}${collapsed ? '; collapsed' : ''}`;
}

/**
 * The namespace as a member's name.
 * @param namespace letters, digits, `_`, `.`, `-`, so nothing in it needs an escape
 */
function nameOf(namespace: string): string {
  return TOKEN.test(namespace) ? namespace : `"${namespace}"`;
}

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
    return hitRatePercent(hits, hits + this.misses);
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
