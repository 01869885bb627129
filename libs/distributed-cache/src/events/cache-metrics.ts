/** One counter of a namespace. */
export interface CounterRow {
  /** The name in the JSON form. */
  readonly wire: string;
  /** The name in Prometheus. Rows of one metric differ in their labels. Absent: the counter is in the JSON form only. */
  readonly metric?: string;
  /** The labels in Prometheus, besides `namespace`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The help text in Prometheus. */
  readonly help: string;
  /** The meaning in the documentation, where it says more than {@link help}. */
  readonly meaning?: string;
}

/** The row of a counter with a metric of its own, `cache_<wire>_total`. */
export function counter<Wire extends string>(wire: Wire, help: string, meaning?: string) {
  return { wire, metric: `cache_${wire}_total`, help, ...(meaning !== undefined && { meaning }) } as const;
}

/** The row of a counter that shares its metric with others; their labels differ. */
export function labelled<Wire extends string>(
  wire: Wire,
  [metric, help]: readonly [metric: string, help: string],
  labels: Readonly<Record<string, string>>,
  meaning: string,
) {
  return { wire, metric, labels, help, meaning } as const;
}

const HITS = ['cache_hits_total', 'Lookups that the tier answered'] as const;
const REFRESHES = [
  'cache_refreshes_total',
  'Loader runs that renewed a value, before its TTL ended (early) or within its grace (stale)',
] as const;
const EVICTIONS = ['cache_evictions_total', 'Entries that left L1'] as const;
const REFUSED = ['cache_values_refused_total', 'Values that were returned and not cached'] as const;
const CHECKED = ['cache_consistency_checks_total', 'Copies in L1 that were compared with Redis'] as const;

function evicted<Reason extends string>(reason: Reason, meaning: string) {
  return labelled(`evictions_${reason}`, EVICTIONS, { reason }, `entries that left L1 because ${meaning}`);
}

function refused<Reason extends string>(reason: Reason, meaning: string) {
  return labelled(
    `values_refused_${reason}`,
    REFUSED,
    { reason },
    `values that were returned and not cached ${meaning}`,
  );
}

function checked<Result extends string>(result: Result, meaning: string) {
  return labelled(`consistency_${result}`, CHECKED, { result }, `comparisons of a copy in L1 with Redis ${meaning}`);
}

/**
 * The counters of a namespace. One row is one counter; its field, its JSON form, its Prometheus metric and its line in
 * docs/metrics.md come from here.
 */
export const COUNTERS = {
  localHits: labelled('local_hits', HITS, { tier: 'local' }, 'lookups that L1 answered'),
  redisHits: labelled('redis_hits', HITS, { tier: 'redis' }, 'lookups that Redis answered'),
  misses: counter(
    'misses',
    'Lookups that no tier answered',
    'lookups that no tier answered, also those that waited for the load of another call, and those whose load failed',
  ),
  sets: counter('sets', 'Values stored by a set or a load'),
  deletes: counter('deletes', 'Keys deleted, present or not'),
  expires: counter('expires', 'Keys made stale by expire, present or not'),
  tagInvalidations: counter(
    'tag_invalidations',
    'Tags invalidated',
    'tags invalidated by `invalidateTags` of this process',
  ),
  clears: counter('clears', 'Namespaces cleared', 'how often this process cleared the namespace'),
  errors: counter(
    'errors',
    'Faults of a tier that a call survived',
    'faults of Redis without which a call went on; a Redis that is known to be down adds none',
  ),
  loads: counter('loads', 'Loader runs', 'runs of decorated methods and loaders'),
  loadErrors: counter('load_errors', 'Loader runs that threw'),
  waits: counter(
    'waits',
    'Calls that waited for another process to load',
    'calls that waited for another process to load their key',
  ),
  leasesLost: counter(
    'leases_lost',
    'Loads not stored because something newer came first',
    'loads whose result was not stored because a `set`, a deletion or another load came first',
  ),
  overloads: counter(
    'overloads',
    'Operations not sent because the queue to Redis was full',
    'operations not sent because the queue to Redis was full; not part of `errors`',
  ),
  tagsForgotten: counter(
    'tags_forgotten',
    'Tags forgotten because a namespace has too many; copies in memory that carry them are dropped',
    'tags forgotten because the namespace has more than 20,000 of them; the copies in L1 that carry them are dropped',
  ),
  schemaMismatches: counter(
    'schema_mismatches',
    'Values that a schema refused, or that migrate failed to upgrade',
    'values that a `schema` refused, or that `migrate` failed to upgrade',
  ),
  loadSecondsSaved: counter(
    'load_seconds_saved',
    'Load time saved by hits, in seconds',
    'the load time that hits have saved, in seconds: the sum of how long the loader of each value took',
  ),
  refreshesEarly: labelled(
    'refreshes_early',
    REFRESHES,
    { cause: 'early' },
    'loader runs that renewed a value before its TTL ended; part of `loads`',
  ),
  refreshesStale: labelled(
    'refreshes_stale',
    REFRESHES,
    { cause: 'stale' },
    'loader runs that renewed a stale value; part of `loads`',
  ),
  evictionsCapacity: evicted('capacity', 'others needed the memory'),
  evictionsExpired: evicted('expired', 'their TTL and grace were over'),
  evictionsInvalidated: evicted('invalidated', 'their key was deleted or changed elsewhere, or a tag was invalidated'),
  evictionsEpoch: evicted('epoch', 'the namespace was cleared, or messages may have been missed'),
  refusedUnserializable: refused('unserializable', 'that no tier can store, such as a function or a stream'),
  refusedClass: refused('class', 'whose class can not be restored'),
  refusedTooLarge: refused('too_large', 'that are larger than `maxValueBytes`'),
  refusedTooDeep: refused('too_deep', 'that are nested too deeply'),
  refusedOption: refused('option', 'because `ttl`, `setTtl`, `cacheIf` or `format` has gone wrong'),
  refusedCodec: refused('codec', 'because the codec failed'),
  consistencyEqual: checked('equal', 'that found the same entry in Redis, at once or within a second'),
  consistencyBehind: checked('behind', 'that found another entry in Redis, and the copy gone within ten seconds'),
  consistencyDiverged: checked('diverged', 'that found another entry in Redis for ten seconds; the copy was dropped'),
  storedBytes: counter(
    'stored_bytes',
    'Bytes of values sent to Redis, compressed',
    'bytes of the values that were sent to Redis, after compression',
  ),
  rawBytes: counter(
    'raw_bytes',
    'Bytes of values sent to Redis, before compression',
    'bytes of the same values before compression',
  ),
  companionPrefetches: counter(
    'companion_prefetches',
    'Keys read from Redis with the miss of another key',
    'keys that were read from Redis together with the miss of another key (`companions`); no lookups',
  ),
  companionPrefetchesUsed: counter(
    'companion_prefetches_used',
    'Keys read with the miss of another key that L1 then answered',
    'the part of `companion_prefetches` that a lookup has found in L1; counted when the entry leaves L1, or a thousand more have been read',
  ),
  companionPrefetchesWasted: counter(
    'companion_prefetches_wasted',
    'Keys read with the miss of another key for nothing',
    'the part of `companion_prefetches` that Redis did not have, or that no lookup has found by then',
  ),
  staleServed: counter(
    'stale_served',
    'Hits past their TTL, part of the hits',
    'hits past their TTL, within their grace; part of `hits`',
  ),
  staleLocal: {
    wire: 'stale_local',
    help: 'Hits of L1 past their TTL, part of the stale ones',
    meaning: 'the part of `stale_served` that L1 answered',
  },
} as const satisfies Record<string, CounterRow>;

/** The states of a namespace; a boolean is 1 or 0 in Prometheus. */
export const GAUGES = {
  redisAvailable: {
    wire: 'redis_available',
    metric: 'cache_redis_available',
    help: '1 while Redis is configured and usable',
    meaning: 'whether Redis is configured and usable at this moment',
  },
  fallbackEnabled: {
    wire: 'fallback_enabled',
    metric: 'cache_fallback_enabled',
    help: '1 if memory serves while Redis cannot be used',
    meaning: "whether L1 would serve while Redis can't be used",
  },
  localEntries: {
    wire: 'local_entries',
    metric: 'cache_local_entries',
    help: 'Entries in L1, including expired ones that have not been removed yet',
  },
  localBytes: {
    wire: 'local_bytes',
    metric: 'cache_local_bytes',
    help: 'Estimated heap of the entries in L1, in bytes',
  },
} as const satisfies Record<string, CounterRow>;

type Name = keyof typeof COUNTERS;
const NAMES = Object.keys(COUNTERS) as Name[];

type Counts = { [Counter in Name]: number };

/** A number for each counter, by the names of the JSON form. */
type WireCounts = { readonly [Counter in Name as (typeof COUNTERS)[Counter]['wire']]: number };

/** Counts since the process started. docs/metrics.md has the meaning of each. */
export interface CacheCounts extends Readonly<Counts> {
  /** Lookups that a tier answered: `localHits + redisHits`. */
  readonly hits: number;
}

/** A class with a field for each counter, so that the fields need no second list. */
const CountFields = class {
  constructor(counts?: Readonly<Counts>) {
    // A sum of seconds has milliseconds, and no further digits.
    Object.assign(
      this,
      Object.fromEntries(NAMES.map((name) => [name, Math.round((counts?.[name] ?? 0) * 1000) / 1000])),
    );
  }
};

/**
 * The counters that the hit path moves, in an object of their own: V8 keeps an object with as many fields as
 * {@link Counters} as a dictionary, and a hit would take half as long again.
 */
export class HitCounts {
  localHits = 0;
  loadSecondsSaved = 0;
}

/** The counters of one namespace while it is in use. */
export class Counters extends (CountFields as new () => Counts) {
  /** All counts, with those of the hit path. */
  plus({ localHits, loadSecondsSaved }: HitCounts): CacheCounts {
    const hits = this.localHits + this.redisHits + localHits;
    const saved = this.loadSecondsSaved + loadSecondsSaved;
    return Object.assign({}, this, { localHits: this.localHits + localHits, loadSecondsSaved: saved, hits });
  }
}

/** The base of a snapshot: the counters as they are at its construction. */
const CountsSnapshot = CountFields as new (counts: CacheCounts) => Readonly<Counts>;

/** The counters by the names of the JSON form. */
function toWire(counts: Readonly<Counts>): WireCounts {
  return Object.fromEntries(NAMES.map((name) => [COUNTERS[name].wire, counts[name]])) as WireCounts;
}

/** The counters of one namespace in this process, in their JSON form. */
export interface CacheMetricsWire extends WireCounts {
  readonly namespace: string;
  readonly hits: number;
  readonly hit_rate_percent: number;
  readonly total_requests: number;
  readonly redis_available: boolean;
  readonly fallback_enabled: boolean;
  readonly local_entries: number;
  readonly local_bytes: number;
}

/** A property of the JSON form, as OpenAPI and JSON Schema describe it. */
interface MetricSchema {
  type: 'string' | 'number' | 'boolean';
  description: string;
}

/** The properties of the JSON form, in their order. */
const SCHEMAS: Record<keyof CacheMetricsWire, MetricSchema> = {
  namespace: { type: 'string', description: 'The namespace of the counters' },
  hits: { type: 'number', description: 'Lookups that a tier answered' },
  ...(Object.fromEntries(
    Object.values(COUNTERS).map(({ wire, help }) => [wire, { type: 'number', description: help }]),
  ) as Record<keyof WireCounts, MetricSchema>),
  hit_rate_percent: { type: 'number', description: 'The part of the lookups that were hits, from 0 to 100' },
  total_requests: { type: 'number', description: 'Hits and misses' },
  redis_available: { type: 'boolean', description: 'Whether Redis is configured and usable at this moment' },
  fallback_enabled: { type: 'boolean', description: 'Whether memory would serve while Redis can not be used' },
  local_entries: { type: 'number', description: GAUGES.localEntries.help },
  local_bytes: { type: 'number', description: GAUGES.localBytes.help },
};

/**
 * A snapshot of one namespace's counters in this process. The JSON form uses the wire names (`hit_rate_percent`, ...),
 * so a response that contains it needs no mapping.
 */
export class CacheMetrics extends CountsSnapshot implements CacheCounts {
  /** The schema of the JSON form for the OpenAPI document of a route that returns it; a new object at each read. */
  static get jsonSchema(): { type: 'object'; properties: Record<string, MetricSchema>; required: string[] } {
    return { type: 'object', properties: structuredClone(SCHEMAS), required: Object.keys(SCHEMAS) };
  }

  readonly hits: number;
  /** `hits + misses`. */
  readonly totalRequests: number;
  /** From 0 to 100, with two decimals; 0 before the first lookup. */
  readonly hitRatePercent: number;

  constructor(
    readonly namespace: string,
    counts: CacheCounts,
    /** Whether Redis is configured and usable at this moment. */
    readonly redisAvailable: boolean,
    /** Whether L1 would serve while Redis can't be used. */
    readonly fallbackEnabled: boolean,
    /** Entries in L1 of this process. Default 0. */
    readonly localEntries = 0,
    /** Their estimated heap, in bytes. Default 0. */
    readonly localBytes = 0,
  ) {
    super(counts);
    this.hits = counts.hits;
    this.totalRequests = this.hits + this.misses;
    this.hitRatePercent = hitRatePercent(this.hits, this.totalRequests);
  }

  /** The counters with the wire names (`hit_rate_percent`). */
  toJSON(): CacheMetricsWire {
    return {
      namespace: this.namespace,
      hits: this.hits,
      ...toWire(this),
      hit_rate_percent: this.hitRatePercent,
      total_requests: this.totalRequests,
      redis_available: this.redisAvailable,
      fallback_enabled: this.fallbackEnabled,
      local_entries: this.localEntries,
      local_bytes: this.localBytes,
    };
  }
}

/** @internal The part of the lookups that were hits, from 0 to 100, with two decimals; 0 before the first lookup. */
export function hitRatePercent(hits = 0, lookups = 0): number {
  return lookups === 0 ? 0 : Math.round((hits / lookups) * 10_000) / 100;
}
