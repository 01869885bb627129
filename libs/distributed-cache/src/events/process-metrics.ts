import { counter, type CounterRow, labelled } from './cache-metrics.js';

/** The version of this package; a test compares it with package.json, and `npm run docs` writes it. */
export const VERSION = '0.1.0';

/** The counters of a process: what concerns all namespaces. */
export const PROCESS_COUNTERS = {
  keysInvalidated: received('key', 'a key was changed by others'),
  tagsInvalidated: received('tag', 'a tag was invalidated by others'),
  namespacesInvalidated: received('namespace', 'a namespace was cleared by others'),
  allInvalidated: received('all', 'the whole database was flushed'),
  distrustedSeconds: counter(
    'distrusted_seconds',
    'Time in which Redis served and L1 was passed over because messages may have been missed, in seconds',
  ),
  epochs: counter('epochs', 'Times that all of L1 was dropped because messages may have been missed'),
  journalOverflows: counter(
    'journal_overflows',
    'Times that the journal of a namespace was full and became one clear of it',
  ),
  warmUpKept: warmUpKeys('kept', 'that were read into L1'),
  warmUpMissing: warmUpKeys('missing', 'that Redis did not have'),
  warmUpLoaded: warmUpKeys('loaded', 'that this process has loaded'),
} as const satisfies Record<string, CounterRow>;

/** The states of a process. */
export const PROCESS_GAUGES = {
  localLimitBytes: {
    wire: 'local_limit_bytes',
    metric: 'cache_local_limit_bytes',
    help: 'Most heap that L1 may take, in bytes, all namespaces together',
  },
  invalidationLive: {
    wire: 'invalidation_live',
    metric: 'cache_invalidation_live',
    help: '1 while changes by other processes are received',
    meaning:
      'whether changes by other processes are received at this moment (`invalidation` in health: `live`, `announced`)',
  },
  journalEntries: {
    wire: 'journal_entries',
    metric: 'cache_journal_entries',
    help: 'Deletions and invalidations that Redis has not acknowledged yet',
  },
  refusedCommands: {
    wire: 'refused_commands',
    metric: 'cache_redis_refused_commands',
    help: 'Commands that Redis answers with a refusal at this moment: a missing right, no memory, a replica, a full disk',
  },
  homeReplica: {
    wire: 'home_replica',
    metric: 'cache_home_replica',
    help: '1 while reads and messages come from a replica (redis.home), 0 while they come from the primary',
  },
  homeLagSeconds: {
    wire: 'home_lag_seconds',
    metric: 'cache_home_lag_seconds',
    help: 'The most that the home replica lagged behind the primary at the last comparison, in seconds; 0 at the primary',
  },
  aheadKeys: {
    wire: 'ahead_keys',
    metric: 'cache_ahead_keys',
    help: 'Keys that are read at the primary, because the home replica may lack their changes; 0 at the primary',
  },
  warm: {
    wire: 'warm',
    metric: 'cache_warm',
    help: '0 while the process is warming up after its start, then 1; absent without warmUp',
  },
  warmUpSeconds: {
    wire: 'warm_up_seconds',
    metric: 'cache_warmup_duration_seconds',
    help: 'How long the warm-up after the start took, in seconds',
  },
  redisNodesLive: nodes('live', 'that can be used'),
  redisNodesDown: nodes('down', 'that can not be used'),
} as const satisfies Record<string, CounterRow>;

function received<Scope extends string>(scope: Scope, what: string) {
  const metric = ['cache_invalidations_received_total', 'Messages about changes by others'] as const;
  return labelled(`invalidations_received_${scope}`, metric, { scope }, `messages that ${what}`);
}

function warmUpKeys<Result extends string>(result: Result, which: string) {
  const metric = ['cache_warmup_keys_total', 'Hot keys of warm-ups, by what became of them'] as const;
  return labelled(`warm_up_keys_${result}`, metric, { result }, `hot keys of warm-ups ${which}`);
}

function nodes<State extends string>(state: State, what: string) {
  const metric = ['cache_redis_nodes', 'Servers of Redis: one, or the masters of a cluster'] as const;
  return labelled(
    `redis_nodes_${state}`,
    metric,
    { state },
    `servers of Redis (one, or the masters of a cluster) ${what}`,
  );
}

/** One histogram: a sample is a payload of its event. */
export interface HistogramRow {
  readonly event: 'load' | 'redisOperation' | 'invalidationLag' | 'relayApplied';
  readonly metric: string;
  readonly help: string;
  /** Fields of the payload. */
  readonly labels: readonly string[];
  /** The field of the payload with the duration, in milliseconds. */
  readonly durationMs: 'durationMs' | 'lagMs';
  /** The upper limits of the buckets, in seconds. */
  readonly buckets: readonly number[];
  /** The option of the cache without which there is no such histogram. */
  readonly needs?: 'region';
}

/** The histograms. They are filled by events, so they cost nothing unless a registry has them. */
export const HISTOGRAMS: readonly HistogramRow[] = [
  {
    event: 'load',
    metric: 'cache_load_duration_seconds',
    help: 'Duration of loader runs, in seconds',
    labels: ['namespace', 'outcome'],
    durationMs: 'durationMs',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  {
    event: 'redisOperation',
    metric: 'cache_redis_operation_duration_seconds',
    help: 'Duration of operations in Redis, in seconds',
    labels: ['operation', 'outcome'],
    durationMs: 'durationMs',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1],
  },
  {
    event: 'invalidationLag',
    metric: 'cache_invalidation_lag_seconds',
    help: 'Most time that an invalidation message took from Redis to this process, in seconds',
    labels: [],
    durationMs: 'lagMs',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1],
  },
  {
    event: 'relayApplied',
    metric: 'cache_relay_lag_seconds',
    help: 'Time from a change in another region to its invalidation in this one, in seconds, by the clocks of both Redis servers',
    labels: ['region'],
    durationMs: 'lagMs',
    needs: 'region',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
  },
];

const FIELDS = { ...PROCESS_COUNTERS, ...PROCESS_GAUGES };

type Field = keyof typeof FIELDS;

/** The counters and states of a process by the names of the JSON form; absent: there is no such part. */
export type ProcessMetricsWire = { readonly version: string } & {
  readonly [Name in Field as (typeof FIELDS)[Name]['wire']]?: number;
};

/**
 * A snapshot of what the cache of this process counts besides its namespaces. A field is `undefined` when the process
 * has no such part: no L1, or no Redis. docs/metrics.md has the meaning of each.
 */
export class ProcessMetrics {
  /** The version of this package. */
  readonly version = VERSION;

  constructor(readonly values: { readonly [Name in Field]: number | undefined }) {}

  /** The counters and states with the wire names (`journal_entries`). */
  toJSON(): ProcessMetricsWire {
    const entries = Object.entries(this.values) as [Field, number | undefined][];
    const wire = entries.filter(([, value]) => value !== undefined).map(([name, value]) => [FIELDS[name].wire, value]);
    return { version: VERSION, ...(Object.fromEntries(wire) as Omit<ProcessMetricsWire, 'version'>) };
  }
}
