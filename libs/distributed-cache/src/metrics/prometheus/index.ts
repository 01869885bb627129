/**
 * The counters of the cache in a registry of `prom-client`.
 *
 * @module nestjs-distributed-cache/prometheus
 */

export {
  registerCacheMetrics,
  type CacheMetricsSource,
  type RegisterCacheMetricsOptions,
} from './register-cache-metrics.js';
