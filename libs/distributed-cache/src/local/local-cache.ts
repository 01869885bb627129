import { systemClock, type Clock } from './clock.js';
import { EntryStore, type OnEvicted, type PartitionIndex } from './entry-store.js';
import type { KeyUses, TopEntry, TopOrder, UsedEntry } from './slot-table.js';
import {
  type DeferredJson,
  type LocalEntry,
  type LocalPutOptions,
  type LocalSetOptions,
  readStored,
  type StoredValue,
  type TagScope,
  storeValue,
  type ValuesMode,
} from './stored-value.js';

/** The options of a {@link LocalCache}. */
export interface LocalCacheOptions {
  /** Maximum heap for keys, values and bookkeeping, in bytes (estimated). Default 100 MiB. */
  readonly maxBytes?: number;
  /** Maximum number of entries. Default: no limit besides memory. */
  readonly maxEntries?: number;
  /** How values are returned. Default `cloned`. */
  readonly values?: ValuesMode;
  /** Default: the monotonic clock of the system. */
  readonly clock?: Clock;
}

const DEFAULT_MAX_BYTES = 100 * 1024 * 1024;
const SWEEP_INTERVAL_MS = 1000;
const SWEEP_AT_LEAST = 1000;
/** The number of sweeps in a whole pass: about a minute, however many entries there are. */
const SWEEP_PASS_TICKS = 60;

/**
 * L1, the tier in this process's memory. It is limited by estimated bytes. Entries that are read once are evicted first,
 * so a scan of many keys does not displace those in use (S3-FIFO). Each entry has its own TTL. Expired entries are removed in the background, a slice per second, so no
 * timer is held per entry and no TTL is too long for a timer. Values are protected from their readers as `values` says.
 * The class can be used alone.
 */
export class LocalCache {
  /** @internal The store that its partitions share. */
  readonly store: EntryStore;
  private readonly values: ValuesMode;
  private readonly clock: Clock;
  private readonly own: Partition;
  private sweepTimer: NodeJS.Timeout | undefined;
  /** The next slot to check; see {@link sweep}. */
  private sweepSlot = 1;

  constructor(options: LocalCacheOptions = {}) {
    const { maxBytes = DEFAULT_MAX_BYTES, maxEntries, values = 'cloned', clock = systemClock } = options;
    requirePositive('maxBytes', maxBytes);
    if (maxEntries !== undefined) {
      requirePositive('maxEntries', maxEntries);
    }
    this.values = values;
    this.clock = clock;
    this.store = new EntryStore(maxBytes, maxEntries ?? Infinity);
    this.own = this.partition(() => true);
  }

  /** Number of entries, including expired ones that have not been swept yet. */
  get entryCount(): number {
    return this.store.count;
  }

  /** Estimated heap, in bytes. */
  get usedBytes(): number {
    return this.store.usedBytes;
  }

  get maxBytes(): number {
    return this.store.maxBytes;
  }

  /**
   * @internal Makes a partition with keys of its own within the same limit, such as that of a namespace.
   * @param lookAheadLoads an entry is not returned by the hit path when less than this many load times are left before
   * its expiry
   */
  partition(isPlainKey: IsPlainKey, lookAheadLoads = 0, onEvicted?: OnEvicted): Partition {
    return new Partition(this.store, this.clock, isPlainKey, lookAheadLoads, () => this.startSweeping(), onEvicted);
  }

  /** @internal A fresh entry that was used lately, for a comparison with Redis. */
  sample(nowMs: number): UsedEntry | undefined {
    return this.store.lastUsed((slot) => this.store.mayReturn(slot, nowMs));
  }

  /** @internal Whether the entry of {@link sample} is still there and fresh. */
  holds(sample: UsedEntry, nowMs: number): boolean {
    return this.store.isInSlot(sample) && this.store.mayReturn(sample.slot, nowMs);
  }

  /** The fresh value, or `undefined`. A stored `undefined` looks the same: use {@link find} to distinguish them. */
  get(key: string): unknown {
    const entry = this.find(key);
    return entry === undefined || entry.expiresAtMs <= this.clock.nowMs() ? undefined : this.read(entry);
  }

  /** A value that was stored as frozen or shared is returned as it is kept. */
  private read(entry: LocalEntry): unknown {
    return readStored(entry, entry.form === 'own' ? this.values : 'shared');
  }

  /** Whether there is a fresh value. The entry is marked as used. */
  has(key: string): boolean {
    const entry = this.find(key);
    return entry !== undefined && entry.expiresAtMs > this.clock.nowMs();
  }

  /** The entry, fresh or within its grace, marked as used; `undefined` if there is none. */
  find(key: string): LocalEntry | undefined {
    return this.own.find(key, this.clock.nowMs());
  }

  /** The entry as it is, whether or not it may still be returned, without marking it as used. */
  peek(key: string): LocalEntry | undefined {
    return this.own.peek(key);
  }

  /**
   * Stores a copy of a value; in mode `shared`, the value itself. A value larger than the whole cache is not kept, and
   * the key is removed.
   * @returns whether it was kept
   * @throws RangeError for a TTL or grace that is not a duration
   */
  set(key: string, value: unknown, options: LocalSetOptions): boolean {
    return this.put(key, storeValue(value, options.values ?? this.values), options);
  }

  /** Stores a value that `storeValue` has made safe already; otherwise like {@link set}. */
  put(key: string, stored: StoredValue, options: LocalPutOptions): boolean {
    return this.own.put(key, stored, options);
  }

  /** Removes an entry. @returns whether there was one that could still be returned */
  delete(key: string): boolean {
    return this.own.delete(key);
  }

  /** Removes the entries of all partitions. */
  clear(): void {
    for (let slot = 1; slot < this.store.slotsEnd; slot++) {
      this.store.remove(slot);
    }
    this.stopSweeping();
  }

  /**
   * Removes the expired entries in the next `slots` slots of the store, and continues there at the next call; the
   * default makes a whole pass in about a minute. It runs by itself once a second while there are entries. The walk is
   * by slot, because the slot of an entry never changes; the order of use does, so a walk in that order would miss
   * entries between two slices.
   */
  sweep(slots?: number): void {
    const { store } = this;
    const nowMs = this.clock.nowMs();
    const share = slots ?? Math.max(SWEEP_AT_LEAST, Math.ceil(store.slotsEnd / SWEEP_PASS_TICKS));
    const end = Math.min(this.sweepSlot + share, store.slotsEnd);
    for (let slot = this.sweepSlot; slot < end; slot++) {
      if (store.isUsed(slot)) {
        store.removeIfOutdated(slot, nowMs);
      }
    }
    this.sweepSlot = end < store.slotsEnd ? end : 1;
    if (store.count === 0) {
      this.stopSweeping();
    }
  }

  private startSweeping(): void {
    if (this.sweepTimer === undefined) {
      this.sweepTimer = setInterval(() => this.sweep(), SWEEP_INTERVAL_MS);
      this.sweepTimer.unref();
    }
  }

  private stopSweeping(): void {
    clearInterval(this.sweepTimer);
    this.sweepTimer = undefined;
    this.sweepSlot = 1;
  }
}

/** Whether a lookup by this very text finds this entry and no other: see `encodeKey`. */
type IsPlainKey = (key: string) => boolean;

/**
 * The entries of one user of L1, such as a namespace, under keys of their own. A hit reads the store by the index, without
 * a method of this class: {@link EntryStore.hit}.
 */
export class Partition {
  readonly index: PartitionIndex;

  constructor(
    readonly store: EntryStore,
    private readonly clock: Clock,
    private readonly isPlainKey: IsPlainKey,
    private readonly lookAheadLoads: number,
    private readonly onPut: () => void,
    onEvicted?: OnEvicted,
  ) {
    this.index = store.addPartition(onEvicted);
  }

  /** Number of entries, including outdated ones that have not been removed yet. */
  get entryCount(): number {
    return this.index.slots.size;
  }

  /** Estimated heap of its entries, in bytes. */
  get usedBytes(): number {
    return this.index.bytes;
  }

  /** Whether a lookup would return an entry as fresh. The entry is not marked as used. */
  hasFresh(key: string, nowMs: number): boolean {
    const slot = this.index.slots.get(key);
    return slot !== undefined && this.store.mayReturn(slot, nowMs);
  }

  find(key: string, nowMs: number): LocalEntry | undefined {
    const slot = this.store.find(this.index, key, nowMs);
    return slot === undefined ? undefined : this.store.entryAt(slot);
  }

  peek(key: string): LocalEntry | undefined {
    const slot = this.index.slots.get(key);
    return slot === undefined ? undefined : this.store.entryAt(slot);
  }

  /** How many of its entries depend on a scope, those that are outdated, or may be, not counted. Searches all entries. */
  countTagged(scope: TagScope): number {
    const { index, store } = this;
    const nowMs = this.clock.nowMs();
    const slots = Array.from(index.slots.values());
    return slots.filter((slot) => store.dependsOn(slot, scope) && !store.isOutdated(slot, nowMs)).length;
  }

  /** Its entries that rank first, in descending order: see `EntryStore.top`. */
  top(by: TopOrder, limit: number): TopEntry[] {
    return this.store.top(this.index, by, limit, this.clock.nowMs());
  }

  /** Takes the uses of its entries since the last call: see `SlotTable.takeUses`. */
  takeUses(limit: number): KeyUses[] {
    return this.store.takeUses(this.index.slots.values(), limit);
  }

  put(key: string, stored: StoredValue | DeferredJson, options: LocalPutOptions): boolean {
    const { ttlMs, graceMs = 0, marks, loadMs = 0, lifeMs = ttlMs, createdAtMs, ahead } = options;
    requireDuration('ttlMs', ttlMs);
    requireDuration('graceMs', graceMs);
    const nowMs = this.clock.nowMs();
    const expiresAtMs = nowMs + ttlMs;
    const isKept = this.store.put(this.index, key, stored, {
      storedAtMs: nowMs,
      expiresAtMs,
      readyUntilMs: expiresAtMs - loadMs * this.lookAheadLoads,
      graceMs,
      loadMs: Math.round(loadMs),
      fullTtlMs: Math.round(lifeMs),
      createdAtMs,
      tagVersions: marks,
      isPlainKey: this.isPlainKey(key),
    });
    if (isKept && ahead !== undefined) {
      this.store.awaitUse(this.index, key, ahead);
    }
    this.onPut();
    return isKept;
  }

  /** Makes all present entries outdated, in O(1). */
  startEpoch(): void {
    this.store.startEpoch(this.index);
  }

  /** Removes an entry. @returns whether there was one that could still be returned */
  delete(key: string): boolean {
    const slot = this.index.slots.get(key);
    if (slot === undefined) {
      return false;
    }
    const isOutdated = this.store.removeIfOutdated(slot, this.clock.nowMs());
    if (!isOutdated) {
      this.store.removeFor('invalidated', slot);
    }
    return !isOutdated;
  }
}

/** Checks a duration: with `NaN` an entry would never expire. */
function requireDuration(name: string, value: number): void {
  if (typeof value !== 'number' || !(value >= 0)) {
    throw new RangeError(`${name} must be zero or more milliseconds, got ${String(value)}`);
  }
}

function requirePositive(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`${name} must be a positive integer, got ${String(value)}`);
  }
}
