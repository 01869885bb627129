import { type CacheCounts, type CacheMetricsWire, COUNTERS, hitRatePercent } from '../events/index.js';
import type { CacheKey } from '../keys/index.js';
import type { TopEntry, TopOrder } from '../local/index.js';
import { AuditTrail, type AuditedChange, type Operator } from './audit.js';
import { type Gathered, Processes, type ProcessLink } from './processes.js';
import type {
  CounterSteps,
  ProcessFacts,
  ProcessName,
  ProcessPart,
  ProcessView,
  RecentChange,
  RunningLoad,
  TopKey,
  WarmUpAnswer,
} from './questions.js';
import { CounterHistory, RecentChanges, STEP_MS } from './record.js';

/** The cache that the operations look at and change, as far as this module needs it. */
export interface OperatedCache {
  /** The counters of the namespaces in use. */
  counted(): readonly { readonly namespace: string; readonly counts: CacheCounts }[];
  /** The key in the form that every tier uses. */
  encode(key: CacheKey): string;
  delete(namespace: string, keys: readonly CacheKey[]): Promise<number>;
  /** Makes entries stale. @returns how many existed */
  expire(namespace: string, keys: readonly CacheKey[]): Promise<number>;
  invalidateTags(namespace: string, tags: readonly string[]): Promise<void>;
  clear(namespace: string): Promise<void>;
}

/** A change that was made, and whether the audit trail has it. */
export interface OperatorChange {
  /** How many of the keys existed; absent for tags and namespaces. */
  readonly existed?: number;
  /** Why the audit trail does not have the change, in one word, such as `NOPERM`; `undefined` if it has it. */
  readonly notRecordedBecause: string | undefined;
}

/** An entry of L1 in one or more processes. */
export interface TopOfAll extends TopEntry {
  readonly namespace: string;
  /** How many processes have listed it. */
  readonly processes: number;
}

/** The counters of one namespace, summed over processes. */
export type SummedMetrics = Omit<CacheMetricsWire, 'redis_available' | 'fallback_enabled'>;

const DEFAULT_LISTED = 20;

/**
 * What an operator asks and changes, over all processes of one cache: those with the same key prefix in the same Redis.
 *
 * A question goes to every process by publish and subscribe, on the connections that are open already; the answers are
 * waited for 300 ms at most. While nothing is asked no message is sent. Where Redis can't be used, or does not permit the
 * topics (`&<prefix>:*`), the answer is that of this process alone and says so (`aloneBecause`). No answer carries a
 * cached value. Any client of Redis that may publish to these topics can ask the same questions, and can send wrong answers.
 *
 * A change (`evict`, `expire`, `purge`, `clear`) is an ordinary call of the cache, with all its guarantees, and is recorded in the
 * audit trail.
 */
export class CacheOperations {
  /** @internal The last changes by others. */
  readonly recent = new RecentChanges();
  /** @internal The counters of the last hour. */
  readonly history = new CounterHistory();
  private readonly processesOf: Processes;
  private readonly trail: AuditTrail;
  private readonly timer: NodeJS.Timeout | undefined;

  /** @internal Operations come from `DistributedCache.operations`. */
  constructor(
    name: ProcessName,
    prefix: string,
    private readonly cache: OperatedCache,
    makeView: ((operations: CacheOperations) => ProcessView) | undefined,
    link: ProcessLink | undefined,
  ) {
    this.processesOf = new Processes(name, makeView?.(this), link);
    this.trail = new AuditTrail(prefix, link?.connection);
    if (makeView !== undefined) {
      this.timer = setInterval(() => this.history.record(cache.counted()), STEP_MS);
      this.timer.unref();
    }
  }

  /** @internal */
  get ignoredMessages(): number {
    return this.processesOf.ignoredMessages;
  }

  /**
   * The processes that use this cache, with their state.
   * @param options.deadlineMs how long the answers are waited for, in milliseconds; default 300, here and below
   */
  processes(options?: { deadlineMs?: number }): Promise<Gathered<ProcessFacts>> {
    return this.processesOf.ask('hello', {}, options?.deadlineMs);
  }

  /** The counters of every process since its start, for each namespace, in their JSON form: see {@link sumMetrics}. */
  metrics(options: { namespace?: string; deadlineMs?: number } = {}): Promise<Gathered<readonly CacheMetricsWire[]>> {
    const { deadlineMs, ...args } = options;
    return this.processesOf.ask('metrics', args, deadlineMs);
  }

  /**
   * The counters of the last hour of every process, in steps of ten seconds.
   * @param options.namespace default: all namespaces together
   * @param options.steps from 1 to 360, the default
   */
  lastHour(options: { namespace?: string; steps?: number; deadlineMs?: number } = {}): Promise<Gathered<CounterSteps>> {
    const { deadlineMs, steps = 360, ...args } = options;
    return this.processesOf.ask('history', { ...args, steps }, deadlineMs);
  }

  /**
   * The entries of L1 that rank first in each process: see {@link mergeTop}. A key is given in the form that the tiers
   * use, and contains what its call was given: shorten it with `describeKey` before it is shown.
   * @param options.by default `uses`
   * @param options.count from 1 to 1000; default 20
   */
  top(
    options: { namespace?: string; by?: TopOrder; count?: number; deadlineMs?: number } = {},
  ): Promise<Gathered<readonly TopKey[]>> {
    const { deadlineMs, by = 'uses', count = DEFAULT_LISTED, ...args } = options;
    return this.processesOf.ask('top', { ...args, by, count }, deadlineMs);
  }

  /**
   * What L1 of every process holds for a key. `AsyncCache.inspect` has the part of Redis.
   * @throws CacheKeyError for a key that is not a well-formed non-empty string
   */
  inspect(namespace: string, key: CacheKey, options?: { deadlineMs?: number }): Promise<Gathered<ProcessPart>> {
    return this.processesOf.ask('inspect', { namespace, key: this.cache.encode(key) }, options?.deadlineMs);
  }

  /** @internal As {@link inspect}, for a key in the form that the tiers use. */
  inspectEncoded(namespace: string, key: string): Promise<Gathered<ProcessPart>> {
    return this.processesOf.ask('inspect', { namespace, key });
  }

  /** How many entries with a tag L1 of every process holds: those that a `purge` would drop there. Each process searches its tagged entries. */
  tagged(namespace: string, tag: string, options?: { deadlineMs?: number }): Promise<Gathered<number>> {
    return this.processesOf.ask('tagged', { namespace, tag }, options?.deadlineMs);
  }

  /** The loads under way in every process, those that run longest first. @param options.count default 20 */
  loads(options: { count?: number; deadlineMs?: number } = {}): Promise<Gathered<readonly RunningLoad[]>> {
    return this.processesOf.ask('loads', { count: options.count ?? DEFAULT_LISTED }, options.deadlineMs);
  }

  /** The last changes by others of which each process has learned, the newest first. @param options.count default 20, at most 100 */
  changes(options: { count?: number; deadlineMs?: number } = {}): Promise<Gathered<readonly RecentChange[]>> {
    return this.processesOf.ask('changes', { count: options.count ?? DEFAULT_LISTED }, options.deadlineMs);
  }

  /**
   * Deletes entries from both tiers, as `AsyncCache.deleteMany` does, and records it. While Redis can't be used, the change
   * is made there later, as with any deletion, and is not recorded.
   * @throws CacheKeyError for a key that is not a well-formed non-empty string
   */
  async evict(namespace: string, keys: readonly CacheKey[], operator: Operator = {}): Promise<OperatorChange> {
    return this.changeKeys('evict', namespace, keys, operator, () => this.cache.delete(namespace, keys));
  }

  /**
   * Makes entries stale, as `AsyncCache.expire` does, and records it: the next caller gets the stale value within its grace while
   * a new one is loaded. Without Redis as {@link evict}.
   * @throws CacheKeyError for a key that is not a well-formed non-empty string
   */
  async expire(namespace: string, keys: readonly CacheKey[], operator: Operator = {}): Promise<OperatorChange> {
    return this.changeKeys('expire', namespace, keys, operator, () => this.cache.expire(namespace, keys));
  }

  /** Makes every entry with one of these tags a miss, as `AsyncCache.invalidateTags` does, and records it; without Redis as {@link evict}. */
  async purge(namespace: string, tags: readonly string[], operator: Operator = {}): Promise<OperatorChange> {
    return {
      notRecordedBecause: await this.audited('purge', namespace, tags, operator, async () => {
        await this.cache.invalidateTags(namespace, tags);
        return 'done';
      }),
    };
  }

  /** Makes every entry of the namespace a miss, as `AsyncCache.clear` does, and records it; without Redis as {@link evict}. */
  async clear(namespace: string, operator: Operator = {}): Promise<OperatorChange> {
    return {
      notRecordedBecause: await this.audited('clear', namespace, [], operator, async () => {
        await this.cache.clear(namespace);
        return 'done';
      }),
    };
  }

  /**
   * The warm-up of every process (option `warmUp`).
   * @param options.starts whether each process that is not warming up warms up once more, and the processes load what is
   * missing if `load` is set; default false. The answer does not wait for it
   */
  warmUp(options: { starts?: boolean; deadlineMs?: number } = {}): Promise<Gathered<WarmUpAnswer>> {
    return this.processesOf.ask('warm', { starts: options.starts === true }, options.deadlineMs);
  }

  /** The last changes by operators, the newest first. @param options.count default 20 */
  audit(
    options: { count?: number } = {},
  ): Promise<{ changes: AuditedChange[]; unreadableBecause: string | undefined }> {
    return this.trail.last(options.count ?? DEFAULT_LISTED);
  }

  /** @internal */
  close(): void {
    clearInterval(this.timer);
  }

  private async changeKeys(
    action: 'evict' | 'expire',
    namespace: string,
    keys: readonly CacheKey[],
    operator: Operator,
    change: () => Promise<number>,
  ): Promise<OperatorChange> {
    let existed = 0;
    const notRecordedBecause = await this.audited(action, namespace, keys.map(String), operator, async () => {
      existed = await change();
      return `${existed} of ${keys.length} existed`;
    });
    return { existed, notRecordedBecause };
  }

  /** Makes a change and records it, also when it fails. @returns why it is not recorded */
  private async audited(
    action: AuditedChange['action'],
    namespace: string,
    names: readonly string[],
    operator: Operator,
    change: () => Promise<string>,
  ): Promise<string | undefined> {
    try {
      const outcome = await change();
      return await this.trail.record(operator, { action, namespace, names, outcome });
    } catch (error) {
      await this.trail.record(operator, {
        action,
        namespace,
        names,
        outcome: error instanceof Error ? error.name : 'failed',
      });
      throw error;
    }
  }
}

const SUMMED = ['hits', ...Object.values(COUNTERS).map(({ wire }) => wire), 'total_requests'];

/** Adds up the counters of all processes. @returns one sum for each namespace, those with the most lookups first */
export function sumMetrics({ answers }: Gathered<readonly CacheMetricsWire[]>): SummedMetrics[] {
  const sums = new Map<string, Record<string, number>>();
  for (const metrics of answers.flatMap(({ answer }) => answer)) {
    const sum = sums.get(metrics.namespace) ?? Object.fromEntries(SUMMED.map((name) => [name, 0]));
    sums.set(metrics.namespace, sum);
    const given = metrics as unknown as Readonly<Record<string, unknown>>;
    for (const name of SUMMED) {
      const value = given[name]; // a process of another version may not have this counter
      sum[name] = (sum[name] ?? 0) + (typeof value === 'number' && Number.isFinite(value) ? value : 0);
    }
  }
  return Array.from(sums, ([namespace, sum]) => {
    const hitRate = hitRatePercent(sum['hits'], sum['total_requests']);
    return { namespace, ...sum, hit_rate_percent: hitRate } as unknown as SummedMetrics;
  }).sort((one, other) => other.total_requests - one.total_requests);
}

/**
 * Merges the lists of all processes. Uses and saved time are added up, sizes and times are the largest. A key that is
 * not among the first in each process is counted only where it is.
 */
export function mergeTop({ answers }: Gathered<readonly TopKey[]>, by: TopOrder, count: number): TopOfAll[] {
  const merged = new Map<string, TopOfAll>();
  for (const entry of answers.flatMap(({ answer }) => answer)) {
    const name = `${entry.namespace}:${entry.key}`;
    const known = merged.get(name);
    merged.set(
      name,
      known === undefined
        ? { ...entry, processes: 1 }
        : {
            ...known,
            uses: known.uses + entry.uses,
            savedMs: known.savedMs + entry.savedMs,
            bytes: Math.max(known.bytes, entry.bytes),
            loadMs: Math.max(known.loadMs, entry.loadMs),
            ttlMs: Math.max(known.ttlMs, entry.ttlMs),
            processes: known.processes + 1,
          },
    );
  }
  return [...merged.values()].sort((one, other) => other[by] - one[by]).slice(0, count);
}
