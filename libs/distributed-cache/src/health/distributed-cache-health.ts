import { Inject, Injectable, Module } from '@nestjs/common';
import { HealthIndicatorService, TerminusModule, type HealthIndicatorResult } from '@nestjs/terminus';
import {
  DistributedCache,
  hitRatePercent,
  type CacheHealth,
  type CacheHealthWire,
  type CacheMetrics,
} from '../core/index.js';

/** The details of a health check besides the status. `metrics` are totals over all namespaces of this process. */
interface CacheHealthDetails extends Omit<CacheHealthWire, 'status'> {
  readonly metrics: { readonly hits: number; readonly misses: number; readonly hit_rate_percent: number };
  readonly [name: string]: unknown;
}

/**
 * The health indicator of the cache for Terminus. `up` when Redis answers, or none is configured; `degraded`, still
 * HTTP 200, when it does not and the local tier serves; `down` (503) when neither can, or when `requireRedis` is set.
 *
 * A check asks Redis once and takes at most `deadlineMs`; it never rejects.
 */
@Injectable()
export class DistributedCacheHealthIndicator {
  constructor(
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Inject(DistributedCache) private readonly cache: DistributedCache,
  ) {}

  /**
   * Checks the cache, for `HealthCheckService.check([() => indicator.isHealthy()])`. Terminus 11 has no status
   * `degraded`: the result is then `up` with `mode: 'degraded'`.
   * @param key the name of the cache in the result
   */
  async isHealthy(key = 'cache'): Promise<HealthIndicatorResult> {
    const session = this.indicators.check(key);
    const health = await this.cache.healthCheck();
    const details = cacheHealthDetails(health, this.cache.getMetrics());
    if (health.status !== 'degraded') {
      return health.status === 'up' ? session.up(details) : session.down(details);
    }
    return Reflect.has(session, 'degraded')
      ? session.degraded(details)
      : session.up({ ...details, mode: health.status });
  }

  /**
   * Whether the warm-up after the start has ended, for a readiness probe that waits for it without the option
   * `requireWarm`: `down` before, then `up`, at the latest after the `deadline` of `warmUp`; `up` without that option, and
   * where Redis can't be used. Asks nothing.
   * @param key the name of the warm-up in the result
   */
  isWarm(key = 'cache_warm_up'): HealthIndicatorResult {
    const session = this.indicators.check(key);
    const { isWarm, counts } = this.cache.warmUp;
    return isWarm ? session.up({ ...counts }) : session.down({ ...counts });
  }
}

/**
 * Provides {@link DistributedCacheHealthIndicator} and, with Terminus, all that a health controller needs. The cache
 * itself comes from the global `DistributedCacheModule`.
 */
@Module({
  imports: [TerminusModule],
  providers: [DistributedCacheHealthIndicator],
  exports: [DistributedCacheHealthIndicator, TerminusModule],
})
export class DistributedCacheHealthModule {}

/** The details of a health check for Terminus, which adds the `status` itself and refuses data that has one. */
function cacheHealthDetails(health: CacheHealth, metrics: readonly CacheMetrics[]): CacheHealthDetails {
  const { status: _status, ...facts } = health.toJSON();
  const hits = metrics.reduce((sum, namespace) => sum + namespace.hits, 0);
  const misses = metrics.reduce((sum, namespace) => sum + namespace.misses, 0);
  return { ...facts, metrics: { hits, misses, hit_rate_percent: hitRatePercent(hits, hits + misses) } };
}
