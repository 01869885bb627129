/** The recording rules and alerts for Prometheus. `npm run monitoring` writes them to `prometheus/`. */

/** A series that Prometheus computes. */
export interface RecordingRule {
  readonly record: string;
  readonly expr: string;
}

/** An alert, and the expressions that must have data for it to work at all. */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly data: readonly string[];
  readonly for: string;
  readonly keepFiringFor: string;
  readonly severity: 'critical' | 'warning' | 'info';
  readonly summary: string;
}

const HITS = 'sum by (job, namespace) (rate(cache_hits_total[5m]))';
const MISSES = 'sum by (job, namespace) (rate(cache_misses_total[5m]))';

/** None uses another one: `promtool tsdb create-blocks-from rules` fills in the past of all in one run. */
export const RECORDING_RULES: readonly RecordingRule[] = [
  { record: 'namespace:cache_requests:rate5m', expr: `${HITS} + ${MISSES}` },
  { record: 'namespace:cache_hit_ratio:rate5m', expr: `${HITS} / (${HITS} + ${MISSES} > 0)` },
  {
    record: 'namespace:cache_load_duration_seconds:p99_5m',
    expr: 'histogram_quantile(0.99, sum by (job, namespace, le) (rate(cache_load_duration_seconds_bucket[5m])))',
  },
  {
    record: 'job:cache_load_seconds_saved:rate1h',
    expr: 'sum by (job) (rate(cache_load_seconds_saved_total[1h]))',
  },
];

const NODES_DOWN = 'max by (job, instance) (cache_redis_nodes{state="down"})';
const LIVE = 'min by (job, instance) (cache_invalidation_live)';
const REFUSED = 'max by (job, instance) (cache_redis_refused_commands)';
const JOURNAL = 'sum by (job, instance) (cache_journal_entries)';
const RATIO = 'namespace:cache_hit_ratio:rate5m';
const P99 = 'namespace:cache_load_duration_seconds:p99_5m';
const LOADS = 'sum by (job, namespace) (rate(cache_loads_total[5m]))';
const LOAD_ERRORS = 'sum by (job, namespace) (rate(cache_load_errors_total[5m]))';
const STALE = 'sum by (job, namespace) (rate(cache_stale_served_total[5m]))';
const EVICTED = 'sum by (job, namespace) (rate(cache_evictions_total{reason="capacity"}[15m]))';
const SETS = 'sum by (job, namespace) (rate(cache_sets_total[15m]))';
const FROM_REDIS = 'sum by (job, namespace) (rate(cache_hits_total{tier="redis"}[15m]))';
const OVERFLOWS = 'sum by (job, instance) (increase(cache_journal_overflows_total[10m]))';
const DIVERGED = 'sum by (job, namespace) (increase(cache_consistency_checks_total{result="diverged"}[30m]))';
const MISMATCHES = 'sum by (job, namespace) (increase(cache_schema_mismatches_total[15m]))';

export const ALERTS: readonly AlertRule[] = [
  {
    alert: 'CacheRedisUnavailable',
    expr: `${NODES_DOWN} > 0`,
    data: [NODES_DOWN],
    for: '1m',
    keepFiringFor: '2m',
    severity: 'critical',
    summary: '{{ $labels.instance }} can not use {{ $value }} server(s) of Redis',
  },
  {
    alert: 'CacheRedisRefuses',
    expr: `${REFUSED} > 0`,
    data: [REFUSED],
    for: '1m',
    keepFiringFor: '2m',
    severity: 'critical',
    summary: 'Redis answers {{ $labels.instance }} and refuses {{ $value }} of its commands',
  },
  {
    alert: 'CacheInvalidationLost',
    expr: `${LIVE} == 0 and on (job, instance) ${NODES_DOWN} == 0`,
    data: [LIVE, NODES_DOWN],
    for: '1m',
    keepFiringFor: '2m',
    severity: 'warning',
    summary: '{{ $labels.instance }} does not receive changes by other processes: L1 is not used',
  },
  {
    alert: 'CacheJournalGrowing',
    expr: `${JOURNAL} > 0 and on (job, instance) deriv(cache_journal_entries[5m]) > 0`,
    data: [JOURNAL, 'deriv(cache_journal_entries[5m])'],
    for: '5m',
    keepFiringFor: '5m',
    severity: 'warning',
    summary: '{{ $labels.instance }} has {{ $value }} deletions that Redis has not acknowledged, and more come',
  },
  {
    alert: 'CacheJournalOverflowed',
    expr: `${OVERFLOWS} > 0`,
    data: [OVERFLOWS],
    for: '0m',
    keepFiringFor: '10m',
    severity: 'warning',
    summary: 'The journal of {{ $labels.instance }} was full: a namespace is cleared when Redis is back',
  },
  {
    alert: 'CacheDiverged',
    expr: `${DIVERGED} > 0`,
    data: [DIVERGED],
    for: '0m',
    keepFiringFor: '30m',
    severity: 'warning',
    summary: 'A process had a copy in L1 of {{ $labels.namespace }} that differed from Redis: it missed a message',
  },
  {
    alert: 'CacheHitRatioDropped',
    expr: `${RATIO} < 0.5 * avg_over_time(${RATIO}[1h] offset 1d) and namespace:cache_requests:rate5m > 1`,
    data: [RATIO, `avg_over_time(${RATIO}[1h] offset 1d)`, 'namespace:cache_requests:rate5m'],
    for: '15m',
    keepFiringFor: '15m',
    severity: 'warning',
    summary: 'The hit ratio of {{ $labels.namespace }} is {{ $value | humanizePercentage }}, under half of yesterday',
  },
  {
    alert: 'CacheLoadErrors',
    expr: `${LOAD_ERRORS} / (${LOADS} > 0) > 0.05`,
    data: [LOAD_ERRORS, LOADS],
    for: '10m',
    keepFiringFor: '10m',
    severity: 'warning',
    summary: '{{ $value | humanizePercentage }} of the loads of {{ $labels.namespace }} fail',
  },
  {
    alert: 'CacheLoaderSlow',
    expr: `${P99} > 3 * avg_over_time(${P99}[1h] offset 1d) and ${P99} > 0.1 and ${LOADS} > 0.1`,
    data: [P99, `avg_over_time(${P99}[1h] offset 1d)`, LOADS],
    for: '15m',
    keepFiringFor: '15m',
    severity: 'warning',
    summary: 'The loads of {{ $labels.namespace }} take {{ $value | humanizeDuration }} (p99), three times yesterday',
  },
  {
    alert: 'CacheStaleServed',
    expr: `${STALE} > 0`,
    data: [STALE],
    for: '10m',
    keepFiringFor: '10m',
    severity: 'info',
    summary: 'Callers of {{ $labels.namespace }} have got stale values for 10 minutes',
  },
  {
    alert: 'CacheEvictingFresh',
    expr: `${EVICTED} > 0.5 * (${SETS} + ${FROM_REDIS})`,
    data: [EVICTED, SETS, FROM_REDIS],
    for: '30m',
    keepFiringFor: '30m',
    severity: 'info',
    summary: 'L1 drops over half of what it takes in of {{ $labels.namespace }} before it expires',
  },
  {
    alert: 'CacheSchemaMismatch',
    expr: `${MISMATCHES} > 0`,
    data: [MISMATCHES],
    for: '0m',
    keepFiringFor: '15m',
    severity: 'warning',
    summary: 'A schema has refused {{ $value }} values of {{ $labels.namespace }}',
  },
];

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** The rules as a file for `rule_files`. */
export function rulesFile(runbook: string): string {
  const recording = RECORDING_RULES.flatMap(({ record, expr }) => [
    `      - record: ${record}`,
    `        expr: ${quoted(expr)}`,
  ]);
  const alerts = ALERTS.flatMap(({ alert, expr, for: duration, keepFiringFor, severity, summary }) => [
    `      - alert: ${alert}`,
    `        expr: ${quoted(expr)}`,
    `        for: ${duration}`,
    `        keep_firing_for: ${keepFiringFor}`,
    `        labels: { severity: ${severity} }`,
    '        annotations:',
    `          summary: ${quoted(summary)}`,
    `          runbook_url: ${runbook}#${alert.toLowerCase()}`,
  ]);
  return [
    'groups:',
    '  - name: nestjs-distributed-cache-recording',
    '    rules:',
    ...recording,
    '  - name: nestjs-distributed-cache-alerts',
    '    rules:',
    ...alerts,
    '',
  ].join('\n');
}

/** An example of the configuration of Alertmanager: one message per alert and application. */
export const ALERTMANAGER = `route:
  receiver: team
  group_by: [alertname, job]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes:
    - receiver: nobody
      matchers: ['severity = info']
receivers:
  - name: team
    webhook_configs:
      - url: http://localhost:9095/alerts
  - name: nobody
inhibit_rules:
  - source_matchers: ['alertname = CacheRedisUnavailable']
    target_matchers: ['alertname =~ "Cache(InvalidationLost|JournalGrowing|HitRatioDropped|StaleServed)"']
    equal: [job]
`;
