import { Counter, Gauge, type OpenMetricsContentType, type Registry } from 'prom-client';
import { type CacheMetrics, COUNTERS, type CounterRow, GAUGES } from '../../events/index.js';

type Field = keyof typeof COUNTERS | keyof typeof GAUGES;

/** One metric: its samples are fields of the snapshot of a namespace, each with its own labels. */
interface MetricDefinition {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly read: (metrics: CacheMetrics) => readonly Sample[];
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A `DistributedCache`, or any other source of the counters. */
export interface CacheMetricsSource {
  /** The counters of each namespace in use. Called at each scrape. */
  getMetrics(): readonly CacheMetrics[];
}

/** The options of {@link registerCacheMetrics}. */
export interface RegisterCacheMetricsOptions {
  /** Prefix of every name, for instance `shop_`. Default: none. */
  readonly prefix?: string;
}

type AnyRegistry = Registry | Registry<OpenMetricsContentType>;

/**
 * Adds the cache's counters to a prom-client registry. They are read when the registry is scraped and cost nothing
 * between two scrapes; Redis is not asked. Labels are the namespace and, for hits, the tier; never a key. A namespace
 * appears with its first use. Several registries may have the same cache; two caches in one registry need different
 * prefixes.
 * @returns a function that removes the metrics from the registry again
 * @throws Error if the registry has a metric of one of these names already; then nothing is added
 */
export function registerCacheMetrics(
  registry: AnyRegistry,
  source: CacheMetricsSource,
  { prefix = '' }: RegisterCacheMetricsOptions = {},
): () => void {
  const registered: string[] = [];
  const unregister = () => registered.forEach((name) => registry.removeSingleMetric(name));
  const add = (definition: MetricDefinition, register: typeof addCounter) => {
    const prefixed = { ...definition, name: prefix + definition.name };
    register(registry, source, prefixed);
    registered.push(prefixed.name);
  };
  try {
    metricsOf(COUNTERS).forEach((definition) => add(definition, addCounter));
    metricsOf(GAUGES).forEach((definition) => add(definition, addGauge));
  } catch (error) {
    unregister();
    throw error;
  }
  return unregister;
}

/** The metrics of a table. Rows with the same metric are its samples. */
function metricsOf(table: Readonly<Partial<Record<Field, CounterRow>>>): MetricDefinition[] {
  const rows = Object.entries(table) as [Field, CounterRow][];
  const metrics = new Map(rows.map(([, row]) => [row.metric, row]));
  return [...metrics.values()].map(({ metric, help, labels = {} }) => ({
    name: metric,
    help,
    labelNames: ['namespace', ...Object.keys(labels)],
    read: (snapshot) =>
      rows
        .filter(([, row]) => row.metric === metric)
        .map(([field, row]) => ({
          labels: { namespace: snapshot.namespace, ...row.labels },
          value: Number(snapshot[field]),
        })),
  }));
}

function addCounter(registry: AnyRegistry, source: CacheMetricsSource, definition: MetricDefinition): void {
  const { name, help, labelNames, read } = definition;
  const counter: Counter = new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      // The value is the total already.
      counter.reset();
      for (const { labels, value } of source.getMetrics().flatMap(read)) {
        counter.inc(labels, value);
      }
    },
  });
}

function addGauge(registry: AnyRegistry, source: CacheMetricsSource, definition: MetricDefinition): void {
  const { name, help, labelNames, read } = definition;
  const gauge: Gauge = new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      for (const { labels, value } of source.getMetrics().flatMap(read)) {
        gauge.set(labels, value);
      }
    },
  });
}
