import type { CacheMetrics } from '../../events/index.js';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The definition of one metric: its name, and how its samples are read from the counters of one namespace. */
export interface MetricDefinition {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly read: (metrics: CacheMetrics) => readonly Sample[];
}

export const CACHE_COUNTERS: readonly MetricDefinition[] = [
  {
    name: 'cache_hits_total',
    help: 'Lookups that the tier answered',
    labelNames: ['namespace', 'tier'],
    read: ({ namespace, localHits, redisHits }) => [
      { labels: { namespace, tier: 'local' }, value: localHits },
      { labels: { namespace, tier: 'redis' }, value: redisHits },
    ],
  },
  byNamespace('cache_misses_total', 'Lookups that no tier answered', ({ misses }) => misses),
  byNamespace('cache_sets_total', 'Values stored by a set or a load', ({ sets }) => sets),
  byNamespace('cache_deletes_total', 'Keys deleted, present or not', ({ deletes }) => deletes),
  byNamespace('cache_errors_total', 'Faults of a tier that a call survived', ({ errors }) => errors),
  byNamespace('cache_loads_total', 'Loader runs', ({ loads }) => loads),
  byNamespace('cache_load_errors_total', 'Loader runs that threw', ({ loadErrors }) => loadErrors),
  byNamespace('cache_waits_total', 'Calls that waited for another process to load', ({ waits }) => waits),
  byNamespace(
    'cache_leases_lost_total',
    'Loads not stored because something newer came first',
    ({ leasesLost }) => leasesLost,
  ),
  byNamespace(
    'cache_overloads_total',
    'Operations not sent because the queue to Redis was full',
    ({ overloads }) => overloads,
  ),
  byNamespace(
    'cache_tags_forgotten_total',
    'Tags forgotten because a namespace has too many; copies in memory that carry them are dropped',
    ({ tagsForgotten }) => tagsForgotten,
  ),
  byNamespace(
    'cache_schema_mismatches_total',
    'Values that a schema refused, or that migrate failed to upgrade',
    ({ schemaMismatches }) => schemaMismatches,
  ),
  byNamespace('cache_stale_served_total', 'Hits past their TTL, part of the hits', ({ staleServed }) => staleServed),
];

export const CACHE_GAUGES: readonly MetricDefinition[] = [
  byNamespace('cache_redis_available', '1 while Redis is configured and usable', ({ redisAvailable }) =>
    Number(redisAvailable),
  ),
  byNamespace('cache_fallback_enabled', '1 if memory serves while Redis cannot be used', ({ fallbackEnabled }) =>
    Number(fallbackEnabled),
  ),
];

function byNamespace(name: string, help: string, valueOf: (metrics: CacheMetrics) => number): MetricDefinition {
  return {
    name,
    help,
    labelNames: ['namespace'],
    read: (metrics) => [{ labels: { namespace: metrics.namespace }, value: valueOf(metrics) }],
  };
}
