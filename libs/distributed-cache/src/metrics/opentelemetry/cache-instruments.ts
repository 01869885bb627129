import type { Attributes, BatchObservableResult, Meter, Observable } from '@opentelemetry/api';
import {
  type CacheEvents,
  type CacheMetrics,
  type CacheTracer,
  COUNTERS,
  type CounterRow,
  HISTOGRAMS,
  PROCESS_COUNTERS,
  type ProcessMetrics,
} from '../../events/index.js';

/** A `DistributedCache`, or what stands in for it. */
export interface InstrumentedCache {
  readonly events: Pick<CacheEvents, 'on'>;
  readonly tracing: { tracer: CacheTracer | undefined };
  /** The counters of each namespace in use. Called at each collection. */
  getMetrics(): readonly CacheMetrics[];
  /** The counters of the process. Called at each collection. */
  getProcessMetrics(): ProcessMetrics;
  /** The address of Redis, as the configuration describes it. */
  readonly config?: { readonly redisAddress: string | undefined };
}

interface InstrumentRow {
  readonly name: string;
  readonly kind: 'counter' | 'upDown';
  readonly unit: string;
  readonly description: string;
  /** The observations at a collection. */
  readonly read: (cache: InstrumentedCache) => readonly Observation[];
}

type Observation = readonly [value: number, attributes: Attributes];

/** One observation for each namespace. */
function each(valueOf: (metrics: CacheMetrics) => number): InstrumentRow['read'] {
  return (cache) =>
    cache.getMetrics().map((snapshot) => [valueOf(snapshot), { 'nestjs.cache.name': snapshot.namespace }]);
}

/** One observation for each namespace and row of a metric; the label of the row becomes an attribute. */
function eachRow(metric: string, attribute: string): InstrumentRow['read'] {
  const rows = Object.entries<CounterRow>(COUNTERS).filter(([, row]) => row.metric === metric);
  return (cache) =>
    cache
      .getMetrics()
      .flatMap((snapshot) =>
        rows.map(([field, row]): Observation => [
          Number(Reflect.get(snapshot, field)),
          { 'nestjs.cache.name': snapshot.namespace, [attribute]: labelOf(row) },
        ]),
      );
}

function labelOf({ labels = {} }: CounterRow): string {
  return Object.values(labels).join(',');
}

/** One observation for each row of a metric of the process; the label of the row becomes an attribute. */
function eachProcessRow(metric: string, attribute: string): InstrumentRow['read'] {
  const rows = Object.entries<CounterRow>(PROCESS_COUNTERS).filter(([, row]) => row.metric === metric);
  return (cache) => {
    const { values } = cache.getProcessMetrics();
    return rows.flatMap(([field, row]) => {
      const value: unknown = Reflect.get(values, field);
      return typeof value === 'number' ? [[value, { [attribute]: labelOf(row) }] as const] : [];
    });
  };
}

const RESULT = 'nestjs.cache.request.result';
const TIER = 'nestjs.cache.tier';

function requests(cache: InstrumentedCache): readonly Observation[] {
  return cache.getMetrics().flatMap(({ namespace, localHits, redisHits, staleLocal, staleServed, misses }) => {
    const name = { 'nestjs.cache.name': namespace };
    const staleRedis = staleServed - staleLocal;
    return [
      [localHits - staleLocal, { ...name, [RESULT]: 'hit', [TIER]: 'local' }],
      [redisHits - staleRedis, { ...name, [RESULT]: 'hit', [TIER]: 'redis' }],
      [staleLocal, { ...name, [RESULT]: 'stale_hit', [TIER]: 'local' }],
      [staleRedis, { ...name, [RESULT]: 'stale_hit', [TIER]: 'redis' }],
      [misses, { ...name, [RESULT]: 'miss' }],
    ] as const;
  });
}

function journal(cache: InstrumentedCache): readonly Observation[] {
  const { journalEntries } = cache.getProcessMetrics().values;
  return journalEntries === undefined ? [] : [[journalEntries, {}]];
}

/** The instruments that are read at each collection. */
const INSTRUMENTS: readonly InstrumentRow[] = [
  {
    name: 'nestjs.cache.requests',
    kind: 'counter',
    unit: '{request}',
    description: 'Lookups, by what answered them',
    read: requests,
  },
  {
    name: 'nestjs.cache.load.time_saved',
    kind: 'counter',
    unit: 's',
    description: COUNTERS.loadSecondsSaved.help,
    read: each(({ loadSecondsSaved }) => loadSecondsSaved),
  },
  {
    name: 'nestjs.cache.evictions',
    kind: 'counter',
    unit: '{eviction}',
    description: COUNTERS.evictionsCapacity.help,
    read: eachRow(COUNTERS.evictionsCapacity.metric, 'nestjs.cache.eviction.reason'),
  },
  {
    name: 'nestjs.cache.local.entry.count',
    kind: 'upDown',
    unit: '{entry}',
    description: 'Entries in L1',
    read: each(({ localEntries }) => localEntries),
  },
  {
    name: 'nestjs.cache.local.size',
    kind: 'upDown',
    unit: 'By',
    description: 'Estimated heap of the entries in L1',
    read: each(({ localBytes }) => localBytes),
  },
  {
    name: 'nestjs.cache.invalidations',
    kind: 'counter',
    unit: '{invalidation}',
    description: PROCESS_COUNTERS.keysInvalidated.help,
    read: eachProcessRow(PROCESS_COUNTERS.keysInvalidated.metric, 'nestjs.cache.scope'),
  },
  {
    name: 'nestjs.cache.consistency.checks',
    kind: 'counter',
    unit: '{check}',
    description: COUNTERS.consistencyEqual.help,
    read: eachRow(COUNTERS.consistencyEqual.metric, 'nestjs.cache.consistency.result'),
  },
  {
    name: 'nestjs.cache.warmup.keys',
    kind: 'counter',
    unit: '{key}',
    description: PROCESS_COUNTERS.warmUpKept.help,
    read: eachProcessRow(PROCESS_COUNTERS.warmUpKept.metric, 'nestjs.cache.warmup.result'),
  },
  {
    name: 'nestjs.cache.journal.entry.count',
    kind: 'upDown',
    unit: '{entry}',
    description: 'Deletions and invalidations that Redis has not acknowledged yet',
    read: journal,
  },
];

/** The attributes for `host:port`, also within an address; `undefined` for a socket of Unix, or a master behind Sentinels. */
function serverOf(address = ''): Attributes | undefined {
  const [, host, port] = /^(?:rediss?:\/\/)?\[?([^\s/]+?)\]?:(\d+)(?:\/\d+)?$/.exec(address) ?? [];
  return host === undefined ? undefined : { 'server.address': host, 'server.port': Number(port) };
}

/**
 * Makes the instruments of a cache.
 * @returns functions that end them
 */
export function observeMetrics(cache: InstrumentedCache, meter: Meter, redisOperations: boolean): (() => void)[] {
  const rows = INSTRUMENTS.map((row) => {
    const options = { unit: row.unit, description: row.description };
    const instrument: Observable =
      row.kind === 'counter'
        ? meter.createObservableCounter(row.name, options)
        : meter.createObservableUpDownCounter(row.name, options);
    return { instrument, read: row.read };
  });
  const observe = (result: BatchObservableResult): void => {
    for (const { instrument, read } of rows) {
      read(cache).forEach(([value, attributes]) => result.observe(instrument, value, attributes));
    }
  };
  const instruments = rows.map(({ instrument }) => instrument);
  meter.addBatchObservableCallback(observe, instruments);
  const histogramOf = (name: string, event: string) => {
    const row = HISTOGRAMS.find((histogram) => histogram.event === event);
    return meter.createHistogram(name, {
      unit: 's',
      description: row?.help ?? '',
      advice: { explicitBucketBoundaries: [...(row?.buckets ?? [])] },
    });
  };
  const loads = histogramOf('nestjs.cache.load.duration', 'load');
  const lags = histogramOf('nestjs.cache.invalidation.lag', 'invalidationLag');
  const relayLags = histogramOf('nestjs.cache.relay.lag', 'relayApplied');
  const undo = [
    () => meter.removeBatchObservableCallback(observe, instruments),
    cache.events.on('load', ({ namespace, durationMs, outcome }) =>
      loads.record(durationMs / 1000, {
        'nestjs.cache.name': namespace,
        ...(outcome !== 'ok' && { 'error.type': outcome === 'timeout' ? 'timeout' : '_OTHER' }),
      }),
    ),
    cache.events.on('invalidationLag', ({ lagMs }) => lags.record(lagMs / 1000)),
    cache.events.on('relayApplied', ({ region, lagMs }) =>
      relayLags.record(lagMs / 1000, { 'nestjs.cache.relay.region': region }),
    ),
  ];
  if (redisOperations) {
    const operations = histogramOf('db.client.operation.duration', 'redisOperation');
    undo.push(
      cache.events.on('redisOperation', ({ operation, outcome, durationMs, server }) =>
        operations.record(durationMs / 1000, {
          'db.system.name': 'redis',
          'db.operation.name': operation,
          ...(serverOf(server) ?? serverOf(cache.config?.redisAddress)),
          ...(outcome !== 'ok' && { 'error.type': outcome }),
        }),
      ),
    );
  }
  return undo;
}
