import { type CacheCounts, CountsSnapshot, toWire, type WireCounts } from './counters.js';

/** The counters of one namespace in this process, in their JSON form. */
export interface CacheMetricsWire extends WireCounts {
  readonly namespace: string;
  readonly hits: number;
  readonly hit_rate_percent: number;
  readonly total_requests: number;
  readonly redis_available: boolean;
  readonly fallback_enabled: boolean;
}

/**
 * A snapshot of one namespace's counters in this process. The JSON form uses the wire names (`hit_rate_percent`, ...),
 * so a response that contains it needs no mapping.
 */
export class CacheMetrics extends CountsSnapshot implements CacheCounts {
  readonly hits: number;
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
    super(counts);
    this.hits = counts.hits;
    this.totalRequests = this.hits + this.misses;
    this.hitRatePercent = this.totalRequests === 0 ? 0 : Math.round((this.hits / this.totalRequests) * 10_000) / 100;
  }

  toJSON(): CacheMetricsWire {
    return {
      namespace: this.namespace,
      hits: this.hits,
      ...toWire(this),
      hit_rate_percent: this.hitRatePercent,
      total_requests: this.totalRequests,
      redis_available: this.redisAvailable,
      fallback_enabled: this.fallbackEnabled,
    };
  }
}
