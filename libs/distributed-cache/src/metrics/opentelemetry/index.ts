/**
 * Spans and metrics of the cache for OpenTelemetry, on `@opentelemetry/api` alone.
 *
 * @module nestjs-distributed-cache/opentelemetry
 */

export type { InstrumentedCache } from './cache-instruments.js';
export { instrumentCache, type InstrumentCacheOptions } from './instrument-cache.js';
