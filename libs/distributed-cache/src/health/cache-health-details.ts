import type { CacheHealth, CacheHealthWire, CacheMetrics } from '../core/index.js';

/** The details of a health check besides the status. `metrics` are totals over all namespaces of this process. */
export interface CacheHealthDetails extends Omit<CacheHealthWire, 'status'> {
  readonly metrics: { readonly hits: number; readonly misses: number; readonly hit_rate_percent: number };
  readonly [name: string]: unknown;
}

/** The details of a health check for Terminus, which adds the `status` itself and refuses data that has one. */
export function cacheHealthDetails(health: CacheHealth, metrics: readonly CacheMetrics[]): CacheHealthDetails {
  const { status: _status, ...facts } = health.toJSON();
  const hits = metrics.reduce((sum, namespace) => sum + namespace.hits, 0);
  const misses = metrics.reduce((sum, namespace) => sum + namespace.misses, 0);
  const lookups = hits + misses;
  const hitRatePercent = lookups === 0 ? 0 : Math.round((hits / lookups) * 10_000) / 100;
  return { ...facts, metrics: { hits, misses, hit_rate_percent: hitRatePercent } };
}
