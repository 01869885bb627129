import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { DistributedCache } from '../core/index.js';
import { cacheHealthDetails } from './cache-health-details.js';

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
}
