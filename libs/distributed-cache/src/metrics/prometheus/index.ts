export {
  registerCacheMetrics,
  type CacheMetricsSource,
  type RegisterCacheMetricsOptions,
} from './register-cache-metrics.js';
