import { context, trace, TraceFlags } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type OpenMetricsContentType, Registry } from 'prom-client';
import { createDistributedCache, type DistributedCache } from '../../libs/distributed-cache/src/core/index.js';
import { registerCacheMetrics } from '../../libs/distributed-cache/src/metrics/prometheus/index.js';
import { findPrometheus } from '../../scripts/find-redis.mjs';
import { RedisServer } from '../support/redis-server.js';
import { PrometheusServer, runProgram, ScrapedRegistry, until } from './prometheus-server.js';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';

/**
 * Whether a Prometheus reads everything that an application can show: each metric, in both content types, which `promtool check
 * metrics` must accept, and the exemplar of a load under a trace.
 * @returns a line that says what was checked
 */
export async function checkMetrics(): Promise<string> {
  const redis = await RedisServer.start();
  const prometheus = new PrometheusServer();
  const redisOptions = { redis: { url: redis.url }, keyPrefix: 'check', heartbeatMs: 300 };
  const options = { ...redisOptions, local: { maxEntries: 50 }, warmUp: { namespaces: ['users'] } };
  const [cache, other] = [await createDistributedCache(options), await createDistributedCache(options)];
  const text = new Registry();
  const open = new Registry<OpenMetricsContentType>();
  open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  for (const registry of [text, open]) {
    registerCacheMetrics(registry, cache, { byMethod: true, group: (_namespace, key) => key.slice(0, 5) });
  }
  const scraped = await ScrapedRegistry.start(open);
  try {
    await useAll(cache, other);
    await until(
      'a heartbeat',
      async () => !(await open.metrics()).includes('cache_invalidation_lag_seconds_count 0') || 'none',
    );
    lint('text', await text.metrics());
    lint('OpenMetrics', asTextFormat(await open.metrics()));
    await prometheus.start([{ name: 'check', targets: [scraped.target] }]);
    const names = (await open.getMetricsAsJSON()).map(({ name, type }) => seriesOf(name, String(type)));
    await until('every metric in Prometheus', async () => {
      const found = await prometheus.api<string[]>('label/__name__/values');
      return names.filter((name) => !found.includes(name)).join(', ') || true;
    });
    const { activeTargets } = await prometheus.api<{ activeTargets: { health: string; lastError: string }[] }>(
      'targets',
    );
    if (activeTargets[0]?.health !== 'up') {
      throw new Error(`Prometheus can't read the metrics: ${activeTargets[0]?.lastError}`);
    }
    await until('the exemplar', async () => {
      const now = Date.now() / 1000;
      const found = await prometheus.api<{ exemplars: { labels: { trace_id: string } }[] }[]>('query_exemplars', {
        query: 'cache_load_duration_seconds_bucket',
        start: String(now - 600),
        end: String(now + 60),
      });
      const traces = found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id));
      return traces.includes(TRACE_ID) || `found: ${JSON.stringify(traces)}`;
    });
    return `${names.length} metrics in Prometheus, promtool content with both types, the exemplar came back`;
  } finally {
    scraped.close();
    await Promise.all([cache.close(), other.close(), prometheus.remove()]);
    await redis.stop();
  }
}

/** Uses a cache so that every metric has a sample. */
async function useAll(cache: DistributedCache, other: DistributedCache): Promise<void> {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  await until('Redis', async () => {
    const found = await Promise.all([cache, other].map((each) => each.healthCheck()));
    return found.every(({ redisConnected }) => redisConnected) || JSON.stringify(found);
  });
  const users = cache.getCache('users');
  const span = { traceId: TRACE_ID, spanId: '00f067aa0ba902b7', traceFlags: TraceFlags.SAMPLED };
  await context.with(trace.setSpanContext(context.active(), span), () => users.getOrSet('traced', () => sleep(20, 1)));
  for (let index = 0; index < 100; index++) {
    const load = async (): Promise<object> => ({ text: 'word '.repeat(500), index });
    await users.getOrSet(`Users.find(${index})`, load, { tags: ['all'] });
    await users.getOrSet(`Users.find(${index})`, load);
  }
  await users.set('key', 1);
  await users.set('refused', () => 1);
  await users.getMany(['key', 'refused']);
  await users.invalidateTags('all');
  await other.getCache('users').set('key', 2);
  await users.getOrSet('fails', () => Promise.reject(new Error('no'))).catch(() => {});
}

/**
 * promtool reads the text format. OpenMetrics has exemplars besides, and names a counter without `_total` in its metadata; both
 * are checked by the scrape.
 */
function asTextFormat(metrics: string): string {
  const counters = [...metrics.matchAll(/^# TYPE (\S+) counter$/gm)].map(([, name]) => name);
  const ofCounters = new Set(counters.filter((name) => name?.endsWith('_total') !== true));
  return metrics
    .replaceAll(/ # \{.*$/gm, '')
    .replaceAll(/^# (HELP|TYPE) (\S+)/gm, (line, _kind, name) => (ofCounters.has(name) ? `${line}_total` : line));
}

function lint(name: string, metrics: string): void {
  const found = runProgram(findPrometheus('promtool') ?? 'promtool', ['check', 'metrics'], metrics).trim();
  if (found !== '') {
    throw new Error(`promtool check metrics (${name}):\n${found}\n${metrics}`);
  }
}

/** The series of a metric that is always there. */
function seriesOf(name: string, type: string): string {
  const base = name.replace(/_total$/, '');
  return type === 'counter' ? `${base}_total` : type === 'histogram' ? `${name}_count` : name;
}
