export type { AnsweringTier, CacheEventMap, CacheEventName, OutageReason, SchemaMismatch } from './cache-event-map.js';
export { CacheEvents, DIAGNOSTICS_CHANNEL_PREFIX, type CacheEventListener } from './cache-events.js';
export {
  CacheHealth,
  type CacheHealthWire,
  type CacheStatus,
  type InvalidationState,
  type RedisFacts,
} from './cache-health.js';
export { CacheMetrics, type CacheMetricsWire } from './cache-metrics.js';
export { type CacheCounts, COUNTERS, type CounterRow, Counters, GAUGES } from './counters.js';
