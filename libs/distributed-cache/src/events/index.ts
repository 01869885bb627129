export {
  type AnsweringTier,
  type CacheEventListener,
  type CacheEventMap,
  type CacheEventName,
  CacheEvents,
  DIAGNOSTICS_CHANNEL_PREFIX,
  type LoaderOutcome,
  type OutageReason,
  type RedisOperation,
  type RedisOutcome,
  type SchemaMismatch,
} from './cache-events.js';
export {
  CacheHealth,
  type CacheHealthWire,
  type CacheStatus,
  type InvalidationState,
  type HomeState,
  type RedisFacts,
  type WarmUpHealth,
} from './cache-health.js';
export {
  type CacheCounts,
  CacheMetrics,
  type CacheMetricsWire,
  type CounterRow,
  COUNTERS,
  Counters,
  GAUGES,
  HitCounts,
  hitRatePercent,
} from './cache-metrics.js';
export {
  HISTOGRAMS,
  type HistogramRow,
  PROCESS_COUNTERS,
  PROCESS_GAUGES,
  ProcessMetrics,
  type ProcessMetricsWire,
  VERSION,
} from './process-metrics.js';
export { type CacheTracer, type TracedKind, type TracedOperation, Tracing } from './tracing.js';
