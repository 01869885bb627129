import { Counter, Gauge, type OpenMetricsContentType, type Registry } from 'prom-client';
import {
  type CacheEvents,
  type CacheMetrics,
  COUNTERS,
  type CounterRow,
  GAUGES,
  HISTOGRAMS,
  PROCESS_COUNTERS,
  PROCESS_GAUGES,
  type ProcessMetrics,
  VERSION,
} from '../../events/index.js';
import { addHistograms, type ExemplarOf, LabelledLookups, type LookupLabel, traceOfCaller } from './event-metrics.js';

/** One metric: its samples are fields of snapshots, each with its own labels. */
interface MetricDefinition {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly read: () => readonly Sample[];
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** An object whose fields are the samples of a table, and the labels that they have in common. */
interface Snapshot {
  readonly labels: Readonly<Record<string, string>>;
  readonly fields: object;
}

/** A `DistributedCache`, or any other source of the counters. */
export interface CacheMetricsSource {
  /** The counters of each namespace in use. Called at each scrape. */
  getMetrics(): readonly CacheMetrics[];
  /** The counters of the process. Called at each scrape. */
  getProcessMetrics?(): ProcessMetrics;
  /** The events from which the histograms are made; without them there are none. */
  readonly events?: Pick<CacheEvents, 'on'>;
  /** With a `region` there is the histogram of the relay to other regions. */
  readonly config?: { readonly region?: string | undefined };
}

/** The options of {@link registerCacheMetrics}. */
export interface RegisterCacheMetricsOptions {
  /** Prefix of every name, for instance `shop_`. Default: none. */
  readonly prefix?: string;
  /**
   * Adds `cache_method_hits_total` and `cache_method_misses_total`, with the label `method` (`Users.find`): the lookups
   * of decorated methods. It listens to each hit, which doubles the cost of an L1 hit. Default: false.
   */
  readonly byMethod?: boolean;
  /**
   * Adds `cache_group_hits_total` and `cache_group_misses_total`, with the label `group`: what this function returns for
   * a lookup. At most 100 groups are told apart; the rest, and a lookup for which it throws, is `other`. It must return
   * no key. It listens to each hit, as `byMethod` does. Default: none.
   */
  readonly group?: (namespace: string, key: string) => string;
  /**
   * The labels of an exemplar, for instance `{ trace_id: '4bf9...' }`; `undefined`: none. It is called in the context of
   * the call whose load has ended. Exemplars are shown by a registry of the type OpenMetrics. Default: `trace_id` and
   * `span_id` of the active OpenTelemetry span, if it is sampled.
   */
  readonly exemplar?: ExemplarOf;
}

export type AnyRegistry = Registry | Registry<OpenMetricsContentType>;

/**
 * Adds the cache's metrics to a prom-client registry. Counters and states are read when the registry is scraped and cost
 * nothing between two scrapes; Redis is not asked. Histograms listen to events of loads, operations in Redis and
 * heartbeats, never to hits. Labels are the namespace, the tier and other closed lists; never a key. A namespace appears
 * with its first use. Several registries may have the same cache; two caches in one registry need different prefixes.
 * @returns a function that removes the metrics from the registry again, and its listeners from the cache
 * @throws Error if the registry has a metric of one of these names already; then nothing is added
 */
export function registerCacheMetrics(
  registry: AnyRegistry,
  source: CacheMetricsSource,
  { prefix = '', byMethod = false, group, exemplar = traceOfCaller }: RegisterCacheMetricsOptions = {},
): () => void {
  const undo: (() => void)[] = [];
  const unregister = (): void => undo.splice(0).forEach((remove) => remove());
  const onAdded = (name: string): void => void undo.push(() => registry.removeSingleMetric(name));
  const add = (definition: MetricDefinition, register: typeof addCounter): void => {
    const prefixed = { ...definition, name: prefix + definition.name };
    register(registry, prefixed);
    onAdded(prefixed.name);
  };
  const addLookups = (label: LookupLabel, maxLabels: number, valueOf: LabelledLookups['valueOf']): void => {
    const lookups = new LabelledLookups(label, maxLabels, valueOf);
    definitionsOfLookups(lookups).forEach((definition) => add(definition, addCounter));
    undo.push(lookups.listen(source.events));
  };
  const namespaces = (): Snapshot[] =>
    source.getMetrics().map((fields) => ({ labels: { namespace: fields.namespace }, fields }));
  const process = (): Snapshot[] => [{ labels: {}, fields: source.getProcessMetrics?.().values ?? {} }];
  try {
    definitionsOf(COUNTERS, ['namespace'], namespaces).forEach((definition) => add(definition, addCounter));
    definitionsOf(GAUGES, ['namespace'], namespaces).forEach((definition) => add(definition, addGauge));
    if (source.getProcessMetrics !== undefined) {
      definitionsOf(PROCESS_COUNTERS, [], process).forEach((definition) => add(definition, addCounter));
      definitionsOf(PROCESS_GAUGES, [], process).forEach((definition) => add(definition, addGauge));
      add(BUILD_INFO, addGauge);
    }
    if (source.events !== undefined) {
      const rows = HISTOGRAMS.filter(({ needs }) => needs === undefined || source.config?.[needs] !== undefined);
      undo.push(...addHistograms(registry, source.events, rows, prefix, exemplar, onAdded));
    }
    if (byMethod) {
      addLookups('method', MAX_METHODS, ({ key, caller }, methodOf) => caller ?? methodOf(key));
    }
    if (group !== undefined) {
      addLookups('group', MAX_GROUPS, ({ namespace, key }) => group(namespace, key));
    }
  } catch (error) {
    unregister();
    throw error;
  }
  return unregister;
}

/** The number of methods is that of the code; the limit is for keys that look like those of methods. */
const MAX_METHODS = 1000;
const MAX_GROUPS = 100;

const BUILD_INFO: MetricDefinition = {
  name: 'cache_build_info',
  help: 'The version of nestjs-distributed-cache',
  labelNames: ['version'],
  read: () => [{ labels: { version: VERSION }, value: 1 }],
};

/** The metrics of a table. Rows with the same metric are its samples; a field without a value has none. */
function definitionsOf(
  table: Readonly<Record<string, CounterRow>>,
  commonLabels: readonly string[],
  snapshots: () => readonly Snapshot[],
): MetricDefinition[] {
  const rows = Object.entries(table);
  const metrics = new Map(rows.flatMap(([, row]) => (row.metric === undefined ? [] : [[row.metric, row] as const])));
  return [...metrics].map(([metric, { help, labels = {} }]) => {
    const samples = rows.filter(([, row]) => row.metric === metric);
    return {
      name: metric,
      help,
      labelNames: [...commonLabels, ...Object.keys(labels)],
      read: () =>
        snapshots().flatMap((snapshot) =>
          samples.flatMap(([field, row]) => {
            const value: unknown = Reflect.get(snapshot.fields, field);
            return value === undefined ? [] : [{ labels: { ...snapshot.labels, ...row.labels }, value: Number(value) }];
          }),
        ),
    };
  });
}

function definitionsOfLookups(lookups: LabelledLookups): MetricDefinition[] {
  return (['hits', 'misses'] as const).map((result) => ({
    name: `cache_${lookups.label}_${result}_total`,
    help: `Lookups by ${lookups.label} that ${result === 'hits' ? 'a' : 'no'} tier answered`,
    labelNames: ['namespace', lookups.label],
    read: () =>
      lookups.all().map(({ namespace, value, ...counts }) => ({
        labels: { namespace, [lookups.label]: value },
        value: counts[result],
      })),
  }));
}

function addCounter(registry: AnyRegistry, { name, help, labelNames, read }: MetricDefinition): void {
  const counter: Counter = new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      empty(counter, labelNames); // the value is the total already
      for (const { labels, value } of read()) {
        counter.inc(labels, value);
      }
    },
  });
}

function addGauge(registry: AnyRegistry, { name, help, labelNames, read }: MetricDefinition): void {
  const gauge: Gauge = new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      empty(gauge, labelNames);
      for (const { labels, value } of read()) {
        gauge.set(labels, value);
      }
    },
  });
}

/** Removes the samples. A reset of a metric without labels would leave a 0 where there is nothing to count. */
function empty(metric: Counter | Gauge, labelNames: readonly string[]): void {
  if (labelNames.length === 0) {
    metric.remove();
  } else {
    metric.reset();
  }
}
