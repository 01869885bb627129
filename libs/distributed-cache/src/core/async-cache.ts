import type { Duration, ResolvedNamespace, ValuesMode } from '../config/index.js';
import { CacheMetrics, Counters, HitCounts, type CacheHealth, type Tracing } from '../events/index.js';
import { type CacheKey, PreparedKey } from '../keys/index.js';
import { readingOf, type EntryStore, type Reading, type TopEntry, type TopOrder } from '../local/index.js';
import { checkHealth } from './health.js';
import { BatchCollector, type BatchLoader, inOrderOf } from './batch-loader.js';
import type { CacheRuntime } from './runtime.js';
import { optionsWith, hasOwnKey, type EntryOptions, type KeyOptions, type Loader } from './entry-options.js';
import type { Invalidator } from './invalidate.js';
import { type EntryReader, onlyFresh } from './read.js';
import type { EntrySetter } from './write.js';
import type { NamespaceView } from './process-view.js';
import { type EntryInspection, EntryInspector } from './inspect.js';
import { GroupedLoads, type LoadParts } from './grouped-loads.js';
import type { LoadCoordinator } from './load.js';
import { KeyDimensions } from './vary-by.js';
import type { LocalTier } from './local-tier.js';
import { Lookups } from './lookups.js';
import type { Found, Lookup } from './outcomes.js';
import type { CheckedNamespace } from './consistency.js';
import type { Recorder } from './recorder.js';
import { REAL_TIME } from '../redis/index.js';
import { createNamespace } from './namespace.js';

/**
 * One namespace of the cache: L1 in this process, with Redis behind it.
 *
 * No fault of a tier reaches a caller: a Redis that refuses, hangs, is slow or full delays a call by at most
 * `deadlineMs`, once, and is then left out until it answers again; meanwhile L1 answers (see `fallback`). The only
 * errors are the loader's own and, for a key that is not a well-formed non-empty string or a TTL that is not a
 * duration, a `CacheKeyError` or `RangeError`.
 *
 * A value behaves as one that was just made: each caller gets its own copy, and a given object is never changed. The
 * option `values` says otherwise: see docs/values.md. With `enabled: false` nothing is kept and every loader runs.
 */
export class AsyncCache<T = unknown> {
  private readonly hits: { readonly isObserved: boolean };
  private readonly store: EntryStore | undefined;
  private readonly reading: Reading;
  private readonly hitCounts = new HitCounts();
  private readonly counters = new Counters();
  private readonly recorder: Recorder;
  private readonly local: LocalTier;
  /** @internal What the next load does first. */
  readonly loads: Pick<LoadCoordinator, 'expectsMiss' | 'getOrLoad' | 'loadUncached'>;
  private readonly loadParts: LoadParts;
  private readonly reader: EntryReader;
  private readonly lookups: Lookups<T>;
  private readonly setter: EntrySetter;
  private readonly changes: TracedChanges;
  /** @internal What the consistency checks compare. */
  readonly checked: CheckedNamespace;
  private readonly inspector: EntryInspector;
  /** @internal What the operations of other processes learn of this namespace. */
  readonly view: NamespaceView;
  /** @internal Derives the part of a key that `varyBy` and `version` ask for. */
  readonly dimensions: KeyDimensions;
  /** @internal Receives the changes of this namespace by others, from the cache as a whole. */
  readonly invalidator: Invalidator;

  /** @internal Caches come from `DistributedCache.getCache` or `@InjectCache`. */
  constructor(
    readonly namespace: string,
    /** The options of the namespace, resolved. */
    readonly policy: ResolvedNamespace,
    private readonly runtime: CacheRuntime,
  ) {
    this.store = runtime.local?.store;
    this.reading = readingOf(policy.values);
    const parts = createNamespace(namespace, policy, runtime, this.counters);
    ({ recorder: this.recorder, local: this.local, loads: this.loads, reader: this.reader } = parts);
    this.hits = runtime.events.observation('hit');
    this.lookups = new Lookups(namespace, runtime, parts.reader, parts.recorder);
    this.setter = parts.setter;
    this.changes = new TracedChanges(runtime.tracing, namespace);
    this.invalidator = parts.invalidator;
    this.inspector = parts.inspector;
    ({ view: this.view, checked: this.checked, loadParts: this.loadParts } = parts);
    this.dimensions = new KeyDimensions(namespace, policy, runtime.config.context, runtime.events);
  }

  /**
   * The key of an entry under the given dimensions of the current request, for every method that takes a key.
   * @returns `undefined` when a dimension is missing (event `dimensionMissing`): the cache must not be used then
   * @throws CacheKeyError for a key that is not a well-formed non-empty string
   */
  keyFor(key: string, options: KeyOptions): PreparedKey | undefined {
    return this.dimensions.prepare(key, options, 'keyFor');
  }

  /**
   * The fresh value, or `undefined`. A cached `undefined` looks the same: use {@link lookup} to distinguish them. Waits
   * for Redis at most `deadlineMs`; while Redis can't be used, only L1 is asked.
   * @throws CacheKeyError for a key that is not a well-formed non-empty string
   */
  get(key: CacheKey): Promise<T | undefined> {
    return this.hit(key, undefined) ?? this.lookups.get(key);
  }

  /**
   * Looks a key up without loading: a miss, or the value with its state, tier, age and remaining TTL in milliseconds.
   * While Redis can't be used, only L1 is asked.
   * @throws CacheKeyError as {@link get}
   */
  lookup(key: CacheKey): Promise<Lookup<T>> {
    return this.lookups.lookup(key);
  }

  /**
   * @internal The fresh value of L1, at once; `undefined` when {@link lookup} must go on. It is counted as a lookup only
   * if the caller uses it.
   * @throws CacheKeyError as {@link get}
   */
  lookupLocal(key: string, uses: (value: T, ageMs: number) => boolean): Found<T> | undefined {
    return this.lookups.local(key, uses);
  }

  /**
   * The fresh values of several keys, in the order of `keys`, in one round trip for those that L1 lacks; a large batch
   * takes several, each with a deadline of its own. An entry that can't be read, or whose server can't be asked, is
   * `undefined`.
   * @throws CacheKeyError as {@link get}
   */
  async getMany(keys: readonly CacheKey[]): Promise<(T | undefined)[]> {
    return this.lookups.getMany(keys);
  }

  /**
   * The cached value, or what `loader` returns, which is then cached. Concurrent calls for one key share one load: in
   * this process always, in the cluster while Redis serves; a call may wait for another process's load. If the loader
   * throws, a stale value still in its grace is returned; else its error, the same object. While Redis can't be used,
   * L1 answers within the limits of the fallback, and each process loads for itself.
   * @throws what `loader` throws, a CacheKeyError as {@link get}, a LoaderTimeoutError after `hardTimeout`, and the
   * reason of `signal` once that is aborted
   */
  getOrSet(key: CacheKey, loader: Loader<T>, options?: EntryOptions<T>): Promise<T> {
    return this.hit(key, options) ?? this.getOrLoad(key, loader, options);
  }

  /**
   * @internal The hit path alone: a fresh value of L1 when nothing else is to be done; `undefined` when
   * {@link getOrSet} must go on. It does no encoding, makes no closure, and no object but the promise: see
   * docs/internals.md before adding to it.
   */
  hit(key: CacheKey, options: EntryOptions<T> | undefined): Promise<T> | undefined {
    const isText = typeof key === 'string';
    if (
      options !== undefined &&
      (options.refreshAhead !== undefined || options.refresh === true || (isText && hasOwnKey(options)))
    ) {
      return undefined;
    }
    if (!isText) {
      // Anything else is refused where keys are encoded.
      return key instanceof PreparedKey ? this.hitAgain(key, options?.values) : undefined;
    }
    const nowMs = this.runtime.coarseClock.nowMs();
    return this.answer(key, this.local.hit(key, nowMs), nowMs, options?.values);
  }

  /** @internal As {@link hit}, for a key that is prepared, and with no option but `values`. */
  hitAgain(key: PreparedKey, values: ValuesMode | undefined): Promise<T> | undefined {
    const nowMs = this.runtime.coarseClock.nowMs();
    return this.answer(key, this.local.hitAgain(key, nowMs), nowMs, values);
  }

  /**
   * Gets or loads several keys at once, in the order of `keys`, duplicates included. The missing values are loaded by
   * one call of `loadMissing`, which returns them in the order of its first argument. Keys that another process is
   * loading are waited for; if they need a load after all, `loadMissing` is called once more. While Redis can't be used,
   * the keys that L1 lacks are loaded, and only this process keeps them.
   * @throws what `loadMissing` throws, the same object, a RangeError if it returns another number of values, and a
   * CacheKeyError as {@link get}
   */
  async getOrSetMany(keys: readonly CacheKey[], loadMissing: BatchLoader<T>, options?: EntryOptions<T>): Promise<T[]> {
    const unique = new Map(keys.map((key) => [String(key), key]));
    const names = [...unique.keys()];
    const given = [...unique.values()];
    const batch = new BatchCollector<T>(
      given,
      loadMissing,
      (key, loader) => this.getOrSet(key, loader, options),
      GroupedLoads.of<T>(this.loadParts, given, options),
      this.runtime.redis?.connection.deadlineClock ?? REAL_TIME,
    );
    const again = (value: T): T => this.reader.values.again(value, options?.values) as T;
    return inOrderOf(keys.map(String), names, await batch.run(), again);
  }

  /**
   * Stores a value in Redis and L1. The given object is not changed, and its later changes reach no reader.
   * @param ttl seconds, a string with its unit, or entry options; default: the namespace's TTL. `null` and `undefined`
   * live for `emptyTtl` at most, unless `ttl` is a function
   * @returns true once Redis has the value (or no Redis is configured); false while Redis can't be used or the queue to
   * it is full (event `overload`): then only L1 has it. Also false for a value that can't be cached (event
   * `valueRefused`), or when a dimension of `varyBy` is missing (event `dimensionMissing`)
   */
  set(key: CacheKey, value: T, ttl?: Duration | EntryOptions<T>): Promise<boolean> {
    this.recorder.rememberCaller(key);
    const options = optionsWith(ttl);
    return this.runtime.scopes.current !== undefined || (typeof key === 'string' && hasOwnKey(options))
      ? this.setMany([[key, value]], options)
      : this.changes.store('set', [key], () => this.setter.set(key, value, options));
  }

  /** Stores several values, in one round trip; otherwise like {@link set}. @returns true once Redis has all of them */
  async setMany(entries: Iterable<readonly [CacheKey, T]>, ttl?: Duration | EntryOptions<T>): Promise<boolean> {
    const options = optionsWith(ttl);
    const varied = this.dimensions.prepareAll(new Map(entries), options, 'set');
    const scope = this.runtime.scopes.current;
    if (varied === undefined || scope?.kind === 'bypass') {
      await (varied && this.invalidator.delete([...varied.keys()]));
      return false;
    }
    scope?.renew(this.namespace, varied.keys());
    return this.changes.store('setMany', [...varied.keys()], () => this.setter.setMany(varied, options));
  }

  /** Whether there is a fresh value. The call is not counted as a lookup. While Redis can't be used, only L1 is asked. */
  async has(key: CacheKey): Promise<boolean> {
    return onlyFresh(await this.lookups.find(key, 'has')) !== undefined;
  }

  /**
   * Deletes a key from both tiers. The result of a load under way, in any process, is not kept.
   * @param options.holdOff how long the results of loads are not kept either: for a source that lags behind, such as a
   * read replica
   * @returns whether the key existed, as far as Redis could be asked; if it could not, the key is deleted there when
   * Redis is back
   */
  async delete(key: CacheKey, options?: { holdOff?: Duration }): Promise<boolean> {
    return (await this.changes.remove('delete', [key], () => this.invalidator.delete([key], options?.holdOff))) > 0;
  }

  /**
   * Deletes several keys from both tiers, in one round trip; otherwise like {@link delete}.
   * @returns how many of the keys existed, as far as Redis could be asked
   */
  async deleteMany(keys: readonly CacheKey[], options?: { holdOff?: Duration }): Promise<number> {
    return this.changes.remove('deleteMany', keys, () => this.invalidator.delete(keys, options?.holdOff));
  }

  /**
   * Makes an entry stale in every process. The next `getOrSet` loads; if its loader throws, it returns the old value
   * during the grace that the entry was stored with, or that of the namespace if it is longer. Without grace this is a deletion. The result of a load under way is not kept.
   * While Redis can't be used, the entry becomes stale in L1, and is deleted in Redis as soon as Redis is back.
   * @returns whether there was an entry; while Redis can't be used, whether L1 had one
   */
  async expire(key: CacheKey): Promise<boolean> {
    return this.changes.remove('expire', [key], () => this.invalidator.expire(key));
  }

  /**
   * Clears this namespace in O(1): every entry in Redis becomes a miss at once, and is removed when its TTL ends. While
   * Redis can't be used it takes effect in this process, and in the others as soon as Redis is back.
   */
  async clear(): Promise<void> {
    await this.changes.clear(() => this.invalidator.clear());
  }

  /**
   * Makes every entry that carries one of these tags a miss, in every process, in O(1) per tag. The result of a load
   * under way that will carry one is not kept. Resolves when Redis has acknowledged the invalidation. While Redis can't
   * be used it takes effect in this process, and in the others as soon as Redis is back.
   */
  async invalidateTags(...tags: string[]): Promise<void> {
    await this.changes.remove('invalidateTags', tags, () => this.invalidator.invalidateTags(tags));
  }

  /**
   * Reports what each tier holds of an entry: state, age, lives, tags, sizes, codec, lease; never its value. It is not
   * a lookup: nothing is counted, and no event is emitted. While Redis can't be used, its part of the report says so.
   * Takes as long as two requests to Redis, each at most `deadlineMs`.
   */
  inspect(key: CacheKey): Promise<EntryInspection> {
    return this.inspector.inspect(key);
  }

  /** @internal The entries in L1 of this process that rank first, in descending order; without L1 there are none. */
  topEntries(by: TopOrder, limit: number): TopEntry[] {
    return this.local.top(by, limit);
  }

  /** The counters of this namespace in this process. The JSON form uses the wire names. */
  getMetrics(): CacheMetrics {
    const { config, redis, local } = this.runtime;
    const fallback = config.enabled && config.fallback !== false && local !== undefined;
    const isLive = redis?.connection.isLive === true;
    const { entryCount, usedBytes } = this.local;
    return new CacheMetrics(
      this.namespace,
      this.counters.plus(this.hitCounts),
      isLive,
      fallback,
      entryCount,
      usedBytes,
    );
  }

  /** Checks the health of the cache; asks Redis, within `deadlineMs`. The JSON form uses the wire names. */
  healthCheck(): Promise<CacheHealth> {
    return checkHealth(this.runtime);
  }

  private answer(key: CacheKey, slot: number, nowMs: number, values: ValuesMode | undefined): Promise<T> | undefined {
    const { store } = this;
    if (
      slot < 0 ||
      store === undefined ||
      (this.runtime.scopes.open > 0 && this.runtime.scopes.current !== undefined)
    ) {
      return undefined;
    }
    this.hitCounts.localHits++;
    this.hitCounts.loadSecondsSaved += store.countUse(slot) / 1000;
    if (this.hits.isObserved) {
      this.recorder.emitHit(key, 'local', 'fresh', store.ttlAt(slot, nowMs));
    }
    const reading = values === undefined ? this.reading : readingOf(values);
    return Promise.resolve(store.valueAt(slot, reading) as T);
  }

  /** Not `async` itself: every call that waits would then keep these local variables in memory. */
  private getOrLoad(key: CacheKey, loader: Loader<T>, options: EntryOptions<T> | undefined): Promise<T> {
    try {
      if (typeof key === 'string' && options !== undefined && hasOwnKey(options)) {
        const varied = this.dimensions.prepare(key, options, 'getOrSet');
        return varied === undefined ? this.loads.loadUncached(loader) : this.getOrSet(varied, loader, options);
      }
      return this.loads.getOrLoad(key, loader, options);
    } catch (error) {
      return Promise.reject(error); // the key is not valid
    }
  }
}

/** Runs the changes of one namespace, traced if anything listens. */
class TracedChanges {
  constructor(
    private readonly tracing: Tracing,
    private readonly namespace: string,
  ) {}

  store(method: string, keys: readonly CacheKey[], store: () => Promise<boolean>): Promise<boolean> {
    const { tracing, namespace } = this;
    return tracing.isActive('store')
      ? tracing.trace('store', method, namespace, keys, async (operation) => {
          const stored = await store();
          Object.assign(operation ?? {}, { stored });
          return stored;
        })
      : store();
  }

  remove<Result>(method: string, keys: readonly CacheKey[], run: () => Promise<Result>): Promise<Result> {
    return this.tracing.trace('remove', method, this.namespace, keys, run);
  }

  clear(run: () => Promise<void>): Promise<void> {
    return this.tracing.trace('clear', 'clear', this.namespace, [], run);
  }
}

/**
 * The interface of an {@link AsyncCache}, for a constructor parameter: in a unit test a plain object can stand in for the
 * cache, which a class with private members does not allow.
 */
export type NamespaceCache<T = unknown> = Pick<
  AsyncCache<T>,
  | 'namespace'
  | 'get'
  | 'lookup'
  | 'getMany'
  | 'getOrSet'
  | 'getOrSetMany'
  | 'set'
  | 'setMany'
  | 'has'
  | 'delete'
  | 'deleteMany'
  | 'expire'
  | 'invalidateTags'
  | 'clear'
  | 'getMetrics'
  | 'healthCheck'
>;

/**
 * The class, so that `NamespaceCache` can be imported like one: TypeScript and SWC keep the types of a decorated
 * constructor as metadata, and refuse, or do not find, the import of a mere type.
 */
export const NamespaceCache = AsyncCache;
