import { Histogram, type OpenMetricsContentType, Registry } from 'prom-client';
import type { CacheEventMap, CacheEvents, HistogramRow } from '../../events/index.js';
import { methodOfKey } from '../../keys/index.js';

/** The labels of an exemplar; `undefined`: none. */
export type ExemplarOf = () => Readonly<Record<string, string>> | undefined;

/** What the registered API of OpenTelemetry offers: see {@link traceOfCaller}. */
interface TraceApi {
  readonly context?: {
    active(): {
      getValue(
        key: symbol,
      ): { spanContext?(): { traceId: string; spanId: string; traceFlags: number } | undefined } | undefined;
    };
  };
}

/*
 * The one place where parts of `@opentelemetry/api` are used without importing it. All copies of version 1 in a process
 * share these two symbols, because they must find each other; a test compares them with the package.
 */
const API = Symbol.for('opentelemetry.js.api.1');
const SPAN = Symbol.for('OpenTelemetry Context Key SPAN');
const SAMPLED = 1;

/**
 * The trace of the present call, if OpenTelemetry is in use and records it. It needs no import of OpenTelemetry's API,
 * so that an application without it needs not install it.
 */
export function traceOfCaller(): { readonly trace_id: string; readonly span_id: string } | undefined {
  const api = Reflect.get(globalThis, API) as TraceApi | undefined;
  const context = api?.context?.active().getValue(SPAN)?.spanContext?.();
  return context !== undefined && (context.traceFlags & SAMPLED) !== 0
    ? { trace_id: context.traceId, span_id: context.spanId }
    : undefined;
}

type Events = Pick<CacheEvents, 'on'>;

/**
 * Adds histograms, each filled by its event.
 * @param exemplar labels the samples of loads
 * @param onAdded receives the name of each
 * @returns functions that remove the listeners
 */
export function addHistograms(
  registry: Registry | Registry<OpenMetricsContentType>,
  events: Events,
  rows: readonly HistogramRow[],
  prefix: string,
  exemplar: ExemplarOf,
  onAdded: (name: string) => void,
): (() => void)[] {
  const isOpenMetrics = registry.contentType === Registry.OPENMETRICS_CONTENT_TYPE;
  return rows.map((row) => {
    const { metric, help, labels: labelNames, buckets, event } = row;
    const name = prefix + metric;
    const histogram = new Histogram({
      name,
      help,
      labelNames,
      buckets: [...buckets],
      registers: [registry],
      enableExemplars: isOpenMetrics,
    });
    onAdded(name);
    return events.on(event, (payload) => {
      const read = (field: string): unknown => Reflect.get(payload, field);
      const labels = Object.fromEntries(labelNames.map((label) => [label, String(read(label))]));
      const seconds = Number(read(row.durationMs)) / 1000;
      if (!isOpenMetrics) {
        histogram.observe(labels, seconds);
        return;
      }
      const exemplarLabels = event === 'load' ? exemplar() : undefined;
      histogram.observe({ labels, value: seconds, ...(exemplarLabels && { exemplarLabels }) });
    });
  });
}

/** The label of lookups that are counted by more than their namespace. */
export type LookupLabel = 'method' | 'group';

type Lookup = Pick<CacheEventMap['hit'], 'namespace' | 'key' | 'caller'>;

interface LookupCounts {
  readonly namespace: string;
  readonly value: string;
  hits: number;
  misses: number;
}

/** The value of the label for what is over the limit. */
const OTHER = 'other';

/** Counts hits and misses by a label. The number of its values is limited. */
export class LabelledLookups {
  private readonly counts = new Map<string, LookupCounts>();

  constructor(
    readonly label: LookupLabel,
    private readonly maxValues: number,
    /** The value of the label; `undefined`: the lookup is not counted. */
    readonly valueOf: (lookup: Lookup, methodOf: typeof methodOfKey) => string | undefined,
  ) {}

  all(): readonly LookupCounts[] {
    return [...this.counts.values()];
  }

  /** Starts to count. @returns a function that ends it */
  listen(events: Events | undefined): () => void {
    const stops = [
      events?.on('hit', (lookup) => this.count(lookup, 'hits')),
      events?.on('miss', (lookup) => this.count(lookup, 'misses')),
    ];
    return () => stops.forEach((stop) => stop?.());
  }

  private count(lookup: Lookup, result: 'hits' | 'misses'): void {
    let value: string | undefined;
    try {
      value = this.valueOf(lookup, methodOfKey);
    } catch {
      value = OTHER;
    }
    if (value !== undefined) {
      this.countsOf(lookup.namespace, value)[result]++;
    }
  }

  private countsOf(namespace: string, value: string): LookupCounts {
    const name = `${namespace}:${value}`; // a namespace contains no colon
    const known = this.counts.get(name);
    if (known !== undefined) {
      return known;
    }
    if (this.counts.size >= this.maxValues && value !== OTHER) {
      return this.countsOf(namespace, OTHER);
    }
    const counts = { namespace, value, hits: 0, misses: 0 };
    this.counts.set(name, counts);
    return counts;
  }
}
