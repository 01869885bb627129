/** The dashboards for Grafana. `npm run monitoring` writes them to `grafana/`. */
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** A panel: curves of queries. */
interface PanelSpec {
  readonly title: string;
  readonly description: string;
  readonly unit: string;
  /** Expressions by legend. `@` stands for the labels that the variables choose. */
  readonly queries: readonly (readonly [legend: string, expr: string])[];
}

const PROCESS = 'job=~"$job",instance=~"$instance"';
const NAMESPACE = `${PROCESS},namespace=~"$namespace"`;

const rate = (metric: string, by: string, selector = NAMESPACE) =>
  `sum by (${by}) (rate(${metric}{${selector}}[$__rate_interval]))`;
const quantile = (share: number, metric: string, by: string, selector: string) =>
  `histogram_quantile(${share}, ${rate(`${metric}_bucket`, `${by === '' ? '' : `${by}, `}le`, selector)})`;
const hitRatio = (by: string, tier = '') => {
  const hits = rate('cache_hits_total', by, NAMESPACE + tier);
  return `${hits} / (${rate('cache_hits_total', by)} + ${rate('cache_misses_total', by)})`;
};

const REQUESTS: PanelSpec = {
  title: 'Lookups',
  description: 'Lookups by what answered them: L1, Redis, or none (a miss).',
  unit: 'reqps',
  queries: [
    ['{{tier}}', rate('cache_hits_total', 'tier')],
    ['miss', rate('cache_misses_total', 'job')],
  ],
};
const LOADS: PanelSpec = {
  title: 'Load duration',
  description: 'How long loaders run: half of them at most p50, 99 of 100 at most p99.',
  unit: 's',
  queries: [
    ['p50 {{namespace}}', quantile(0.5, 'cache_load_duration_seconds', 'namespace', NAMESPACE)],
    ['p99 {{namespace}}', quantile(0.99, 'cache_load_duration_seconds', 'namespace', NAMESPACE)],
  ],
};
const SAVED: PanelSpec = {
  title: 'Load time saved per hour',
  description: 'The time that the loaders of the entries which answered had taken.',
  unit: 's',
  queries: [['{{namespace}}', `3600 * ${rate('cache_load_seconds_saved_total', 'namespace')}`]],
};
const STALE: PanelSpec = {
  title: 'Stale values and refreshes',
  description: 'Hits past their TTL, and refreshes by their cause.',
  unit: 'ops',
  queries: [
    ['stale {{namespace}}', rate('cache_stale_served_total', 'namespace')],
    ['refresh {{cause}}', rate('cache_refreshes_total', 'cause')],
  ],
};

const OVERVIEW: readonly PanelSpec[] = [
  {
    title: 'Hit ratio',
    description: 'The share of lookups that L1 or Redis answered.',
    unit: 'percentunit',
    queries: [['{{namespace}}', hitRatio('namespace')]],
  },
  {
    title: 'Share of L1',
    description: 'The share of lookups that L1 answered, without a round trip.',
    unit: 'percentunit',
    queries: [['{{namespace}}', hitRatio('namespace', ',tier="local"')]],
  },
  REQUESTS,
  LOADS,
  SAVED,
  STALE,
  {
    title: 'Errors',
    description: 'Loaders that threw, faults of Redis, and operations that were not sent because the queue was full.',
    unit: 'ops',
    queries: [
      ['load errors', rate('cache_load_errors_total', 'job')],
      ['errors of Redis', rate('cache_errors_total', 'job')],
      ['overloads', rate('cache_overloads_total', 'job')],
    ],
  },
  {
    title: 'Invalidation lag',
    description: 'The most time that a message about a change takes from Redis to a process.',
    unit: 's',
    queries: [
      ['p50', quantile(0.5, 'cache_invalidation_lag_seconds', '', PROCESS)],
      ['p99', quantile(0.99, 'cache_invalidation_lag_seconds', '', PROCESS)],
    ],
  },
];

const ONE_NAMESPACE: readonly PanelSpec[] = [
  REQUESTS,
  {
    title: 'Loads',
    description: 'Runs of loaders, calls that waited for the load of another process, and loads that were not stored.',
    unit: 'ops',
    queries: [
      ['loads', rate('cache_loads_total', 'job')],
      ['waits', rate('cache_waits_total', 'job')],
      ['leases lost', rate('cache_leases_lost_total', 'job')],
    ],
  },
  LOADS,
  SAVED,
  STALE,
  {
    title: 'Changes',
    description:
      'Values stored, keys deleted and made stale, tags invalidated, namespaces cleared, by this application.',
    unit: 'ops',
    queries: [
      ['sets', rate('cache_sets_total', 'job')],
      ['deletes', rate('cache_deletes_total', 'job')],
      ['expires', rate('cache_expires_total', 'job')],
      ['tags', rate('cache_tag_invalidations_total', 'job')],
      ['clears', rate('cache_clears_total', 'job')],
    ],
  },
  {
    title: 'Evictions from L1',
    description: 'Entries that left L1, by reason. Many by capacity: raise CACHE_MAX_MEMORY_MB.',
    unit: 'ops',
    queries: [['{{reason}}', rate('cache_evictions_total', 'reason')]],
  },
  {
    title: 'Refused values',
    description: 'Values that were not cached by reason, values that a schema refused, and tags that were forgotten.',
    unit: 'ops',
    queries: [
      ['{{reason}}', rate('cache_values_refused_total', 'reason')],
      ['schema', rate('cache_schema_mismatches_total', 'job')],
      ['tags forgotten', rate('cache_tags_forgotten_total', 'job')],
    ],
  },
  {
    title: 'Compression',
    description: 'Bytes stored in Redis per byte before compression.',
    unit: 'percentunit',
    queries: [
      [
        '{{namespace}}',
        `${rate('cache_stored_bytes_total', 'namespace')} / ${rate('cache_raw_bytes_total', 'namespace')}`,
      ],
    ],
  },
  {
    title: 'Entries in L1',
    description: 'Entries in the memory of all processes together.',
    unit: 'short',
    queries: [['{{namespace}}', `sum by (namespace) (cache_local_entries{${NAMESPACE}})`]],
  },
  {
    title: 'Companions',
    description:
      'Keys that were read with the miss of another key, and whether L1 then answered them; only with companions.',
    unit: 'ops',
    queries: [
      ['read', rate('cache_companion_prefetches_total', 'job')],
      ['used', rate('cache_companion_prefetches_used_total', 'job')],
      ['wasted', rate('cache_companion_prefetches_wasted_total', 'job')],
    ],
  },
  {
    title: 'Which tiers serve',
    description: '1: Redis can be used; L1 would serve without it.',
    unit: 'bool',
    queries: [
      ['Redis {{instance}}', `min by (instance) (cache_redis_available{${NAMESPACE}})`],
      ['fallback {{instance}}', `min by (instance) (cache_fallback_enabled{${NAMESPACE}})`],
    ],
  },
];

const PROCESSES: readonly PanelSpec[] = [
  {
    title: 'Copies compared with Redis',
    description: 'About one copy in L1 per second and process, by result. A diverged copy has missed a message.',
    unit: 'ops',
    queries: [['{{result}}', rate('cache_consistency_checks_total', 'result')]],
  },
  {
    title: 'Servers of Redis',
    description:
      'Servers that a process can use and can not use (one, or the masters of a cluster), and the commands that they refuse.',
    unit: 'short',
    queries: [
      ['{{instance}} {{state}}', `sum by (instance, state) (cache_redis_nodes{${PROCESS}})`],
      ['{{instance}} refused', `sum by (instance) (cache_redis_refused_commands{${PROCESS}})`],
    ],
  },
  {
    title: 'Changes are received',
    description: '1 while a process receives the changes of others; at 0 its L1 is not used.',
    unit: 'bool',
    queries: [['{{instance}}', `min by (instance) (cache_invalidation_live{${PROCESS}})`]],
  },
  {
    title: 'Home replica',
    description:
      'Whether a process reads and listens at a replica, how far that lags behind, and the keys that are read at the primary for that.',
    unit: 'short',
    queries: [
      ['at a replica {{instance}}', `max by (instance) (cache_home_replica{${PROCESS}})`],
      ['lag in seconds {{instance}}', `max by (instance) (cache_home_lag_seconds{${PROCESS}})`],
      ['keys ahead {{instance}}', `max by (instance) (cache_ahead_keys{${PROCESS}})`],
    ],
  },
  {
    title: 'Duration of operations in Redis',
    description: 'By operation, 99 of 100 at most.',
    unit: 's',
    queries: [['{{operation}}', quantile(0.99, 'cache_redis_operation_duration_seconds', 'operation', PROCESS)]],
  },
  {
    title: 'Operations in Redis',
    description: 'By outcome: timeout: the deadline of a caller came first; refused: Redis answered with an error.',
    unit: 'ops',
    queries: [['{{outcome}}', rate('cache_redis_operation_duration_seconds_count', 'outcome', PROCESS)]],
  },
  {
    title: 'Journal',
    description: 'Deletions that Redis has not acknowledged, and journals that were full.',
    unit: 'short',
    queries: [
      ['{{instance}}', `sum by (instance) (cache_journal_entries{${PROCESS}})`],
      [
        'overflows {{instance}}',
        `sum by (instance) (increase(cache_journal_overflows_total{${PROCESS}}[$__rate_interval]))`,
      ],
    ],
  },
  {
    title: 'L1 not trusted',
    description: 'The share of time in which L1 was passed over, and the times that it was dropped.',
    unit: 'short',
    queries: [
      ['passed over {{instance}}', rate('cache_distrusted_seconds_total', 'instance', PROCESS)],
      ['dropped {{instance}}', rate('cache_epochs_total', 'instance', PROCESS)],
    ],
  },
  {
    title: 'Messages about changes',
    description: 'Messages that processes received, by what they concern.',
    unit: 'ops',
    queries: [['{{scope}}', rate('cache_invalidations_received_total', 'scope', PROCESS)]],
  },
  {
    title: 'Memory of L1',
    description: 'The estimated heap that L1 takes, of its limit.',
    unit: 'percentunit',
    queries: [
      [
        '{{instance}}',
        `sum by (instance) (cache_local_bytes{${PROCESS}}) / sum by (instance) (cache_local_limit_bytes{${PROCESS}})`,
      ],
    ],
  },
  {
    title: 'Warm-up',
    description: 'Processes that are warming up after their start, and what became of the hot keys of warm-ups.',
    unit: 'short',
    queries: [
      ['warming up', `sum(1 - cache_warm{${PROCESS}})`],
      ['seconds {{instance}}', `max by (instance) (cache_warmup_duration_seconds{${PROCESS}})`],
      ['keys {{result}}', `sum by (result) (increase(cache_warmup_keys_total{${PROCESS}}[$__rate_interval]))`],
    ],
  },
  {
    title: 'Versions',
    description: 'Processes by the version of the library.',
    unit: 'short',
    queries: [['{{version}}', `count by (version) (cache_build_info{${PROCESS}})`]],
  },
];

/** The metrics that no panel shows: they exist on request only. */
export const WITHOUT_PANEL = [
  'cache_method_hits_total',
  'cache_method_misses_total',
  'cache_group_hits_total',
  'cache_group_misses_total',
  'cache_relay_lag_seconds',
];

/** The dashboards by the name of their file. */
export function dashboards(): Map<string, dashboard.Dashboard> {
  return new Map([
    ['overview', made('overview', 'Cache: overview', 'All namespaces and processes together.', OVERVIEW)],
    ['namespace', made('namespace', 'Cache: one namespace', 'What happens in one namespace.', ONE_NAMESPACE)],
    [
      'processes',
      made('processes', 'Cache: Redis and processes', 'The connection and the memory of each process.', PROCESSES),
    ],
  ]);
}

const DATASOURCE = { type: 'prometheus', uid: '$datasource' };

function made(name: string, title: string, description: string, panels: readonly PanelSpec[]): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder(title)
    .uid(`ndc-${name}`)
    .description(description)
    .tags(['nestjs-distributed-cache'])
    .time({ from: 'now-6h', to: 'now' })
    .refresh('30s')
    .withVariable(new dashboard.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(variable('job', 'label_values(cache_build_info, job)', 'Application'))
    .withVariable(variable('instance', 'label_values(cache_build_info{job=~"$job"}, instance)', 'Process'))
    .withVariable(variable('namespace', 'label_values(cache_misses_total{job=~"$job"}, namespace)', 'Namespace'));
  return panels.reduce((all, panel) => all.withPanel(panelOf(panel)), builder).build();
}

function variable(name: string, query: string, label: string) {
  return new dashboard.QueryVariableBuilder(name)
    .label(label)
    .query(query)
    .datasource(DATASOURCE)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true);
}

function panelOf({ title, description, unit, queries }: PanelSpec): PanelBuilder {
  const panel = new PanelBuilder()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(DATASOURCE)
    .legend(
      new common.VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom),
    )
    .height(8)
    .span(12);
  return queries.reduce(
    (all, [legend, expr]) => all.withTarget(new DataqueryBuilder().expr(expr).legendFormat(legend).range()),
    panel,
  );
}
