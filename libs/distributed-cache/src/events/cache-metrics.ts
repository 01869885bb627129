/** The counters of one namespace in this process, in their JSON form. */
export interface CacheMetricsWire {
  readonly namespace: string;
  readonly hits: number;
  readonly misses: number;
  readonly sets: number;
  readonly deletes: number;
  readonly errors: number;
  readonly hit_rate_percent: number;
  readonly total_requests: number;
  readonly redis_available: boolean;
  readonly fallback_enabled: boolean;
  readonly local_hits: number;
  readonly redis_hits: number;
  readonly stale_served: number;
  readonly loads: number;
  readonly load_errors: number;
  readonly waits: number;
  readonly leases_lost: number;
  readonly overloads: number;
  readonly tags_forgotten: number;
  readonly schema_mismatches: number;
}

/** Counts since the process started. A snapshot: it does not change. */
export interface CacheCounts {
  /** Lookups that a tier answered: `localHits + redisHits`. */
  readonly hits: number;
  /** Lookups that no tier answered. */
  readonly misses: number;
  /** Values stored by `set`, `setMany` or a load. */
  readonly sets: number;
  /** Keys deleted, present or not. */
  readonly deletes: number;
  /** Faults of a tier without which a call went on. */
  readonly errors: number;
  readonly localHits: number;
  readonly redisHits: number;
  /** Hits past their TTL, within their grace. Part of `hits`. */
  readonly staleServed: number;
  /** Loader runs, and how many of them threw. */
  readonly loads: number;
  readonly loadErrors: number;
  /** Calls that waited for another process to load their key. */
  readonly waits: number;
  /** Loads whose result was not stored because a `set` or deletion, or another load, came first. */
  readonly leasesLost: number;
  /** Operations that were not sent because the queue to Redis was full. Not part of `errors`. */
  readonly overloads: number;
  /**
   * Tags that were forgotten because a namespace has more of them than are remembered; the copies in L1 that carry them
   * are dropped.
   */
  readonly tagsForgotten: number;
  /** Values that a `schema` refused, or that `migrate` failed to upgrade: misses when read, not stored when made. */
  readonly schemaMismatches: number;
}

/**
 * A snapshot of one namespace's counters in this process. The JSON form uses the wire names (`hit_rate_percent`, ...),
 * so a response that contains it needs no mapping.
 */
export class CacheMetrics implements CacheCounts {
  readonly hits: number;
  readonly misses: number;
  readonly sets: number;
  readonly deletes: number;
  readonly errors: number;
  readonly localHits: number;
  readonly redisHits: number;
  readonly staleServed: number;
  readonly loads: number;
  readonly loadErrors: number;
  readonly waits: number;
  readonly leasesLost: number;
  readonly overloads: number;
  readonly tagsForgotten: number;
  readonly schemaMismatches: number;
  /** `hits + misses`. */
  readonly totalRequests: number;
  /** From 0 to 100, with two decimals; 0 before the first lookup. */
  readonly hitRatePercent: number;

  constructor(
    readonly namespace: string,
    counts: CacheCounts,
    /** Whether Redis is configured and usable at this moment. */
    readonly redisAvailable: boolean,
    /** Whether L1 would serve while Redis can't be used. */
    readonly fallbackEnabled: boolean,
  ) {
    this.hits = counts.hits;
    this.misses = counts.misses;
    this.sets = counts.sets;
    this.deletes = counts.deletes;
    this.errors = counts.errors;
    this.localHits = counts.localHits;
    this.redisHits = counts.redisHits;
    this.staleServed = counts.staleServed;
    this.loads = counts.loads;
    this.loadErrors = counts.loadErrors;
    this.waits = counts.waits;
    this.leasesLost = counts.leasesLost;
    this.overloads = counts.overloads;
    this.tagsForgotten = counts.tagsForgotten;
    this.schemaMismatches = counts.schemaMismatches;
    this.totalRequests = this.hits + this.misses;
    this.hitRatePercent = this.totalRequests === 0 ? 0 : Math.round((this.hits / this.totalRequests) * 10_000) / 100;
  }

  toJSON(): CacheMetricsWire {
    return {
      namespace: this.namespace,
      hits: this.hits,
      misses: this.misses,
      sets: this.sets,
      deletes: this.deletes,
      errors: this.errors,
      hit_rate_percent: this.hitRatePercent,
      total_requests: this.totalRequests,
      redis_available: this.redisAvailable,
      fallback_enabled: this.fallbackEnabled,
      local_hits: this.localHits,
      redis_hits: this.redisHits,
      stale_served: this.staleServed,
      loads: this.loads,
      load_errors: this.loadErrors,
      waits: this.waits,
      leases_lost: this.leasesLost,
      overloads: this.overloads,
      tags_forgotten: this.tagsForgotten,
      schema_mismatches: this.schemaMismatches,
    };
  }
}
