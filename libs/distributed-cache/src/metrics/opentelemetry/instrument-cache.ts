import { metrics, type MeterProvider, trace, type TracerProvider } from '@opentelemetry/api';
import { VERSION } from '../../events/index.js';
import { describeKey } from '../../keys/index.js';
import { type InstrumentedCache, observeMetrics } from './cache-instruments.js';
import { SpanTracer } from './span-tracer.js';

const SCOPE = 'nestjs-distributed-cache';

/** The options of {@link instrumentCache}. */
export interface InstrumentCacheOptions {
  /**
   * Which operations get spans. `misses`: lookups that L1 does not answer, loads, changes; `all`: hits of L1 too, each of
   * which then takes about a microsecond more; `loads`: loads only; `none`. Default `misses`.
   */
  readonly spans?: 'misses' | 'all' | 'loads' | 'none';
  /**
   * Adds the attribute `cache.key`: `described` as in the log (`Users.find(…)#1a2b3c4d`), or what a function makes of a
   * key. Default: no keys, because they carry arguments.
   */
  readonly keys?: 'described' | ((key: string) => string);
  /** Whether metrics are made. Default true. */
  readonly metrics?: boolean;
  /**
   * Whether the duration of operations in Redis is measured (`db.client.operation.duration`); only for an application
   * without an instrumentation of its Redis client. Default false.
   */
  readonly redisOperations?: boolean;
  /** Default: the provider that is registered globally. */
  readonly tracerProvider?: TracerProvider;
  /** Default: the provider that is registered globally, at the time of the call. */
  readonly meterProvider?: MeterProvider;
}

/**
 * Makes spans and metrics of a cache. Loaders run within the span of their load, so their queries are below it. A call
 * that joins the load of another call has a link to its span; a load in the background is a trace of its own, with a link
 * to the span that caused it. No fault of OpenTelemetry reaches a caller. The metrics are read at collection; the spans
 * cost an L1 hit nothing, unless `spans` is `all`.
 * @returns a function that ends it
 */
export function instrumentCache(cache: InstrumentedCache, options: InstrumentCacheOptions = {}): () => void {
  const { spans = 'misses', keys, redisOperations = false, tracerProvider = trace, meterProvider = metrics } = options;
  const undo: (() => void)[] = [];
  if (spans !== 'none') {
    const tracer = new SpanTracer(
      tracerProvider.getTracer(SCOPE, VERSION),
      keys === 'described' ? (key) => describeKey(key) : keys,
      spans === 'loads',
    );
    cache.tracing.tracer = tracer;
    undo.push(() => {
      if (cache.tracing.tracer === tracer) {
        cache.tracing.tracer = undefined;
      }
    });
    undo.push(cache.events.on('diverged', (diverged) => tracer.diverged(diverged)));
    if (spans === 'all') {
      undo.push(cache.events.on('hit', (hit) => tracer.hit(hit)));
    }
  }
  if (options.metrics !== false) {
    undo.push(...observeMetrics(cache, meterProvider.getMeter(SCOPE, VERSION), redisOperations));
  }
  return () => undo.splice(0).forEach((end) => end());
}
