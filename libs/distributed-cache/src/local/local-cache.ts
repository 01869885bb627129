import { systemClock, type Clock } from './clock.js';
import { EntryStore } from './entry-store.js';
import type { LocalEntry, LocalPutOptions, LocalSetOptions } from './local-entry.js';
import { LocalPart, type IsPlainKey } from './local-part.js';
import { readStored, storeValue, type StoredValue, type ValuesMode } from './stored-value.js';

export interface LocalCacheOptions {
  /** Most heap for keys, values and bookkeeping, in bytes (estimated). Default 100 MiB. */
  readonly maxBytes?: number;
  /** Default: no limit besides memory. */
  readonly maxEntries?: number;
  /** Default `frozen`. */
  readonly values?: ValuesMode;
  readonly clock?: Clock;
}

const DEFAULT_MAX_BYTES = 100 * 1024 * 1024;
const SWEEP_INTERVAL_MS = 1000;
const SWEEP_AT_LEAST = 1000;
/** A whole pass takes about a minute, however many entries there are. */
const SWEEP_PASS_TICKS = 60;

/**
 * L1: values in this process's memory, bounded by estimated bytes, the least recently used leaving first. Each entry has
 * its own TTL; expired entries leave by themselves in the background, a slice a second, so no timer is held per entry
 * and no TTL is too long for one. Values are protected from their readers as `values` says. Usable alone.
 */
export class LocalCache {
  /** @internal What its parts share. */
  readonly store: EntryStore;
  private readonly values: ValuesMode;
  private readonly clock: Clock;
  private readonly own: LocalPart;
  private sweepTimer: NodeJS.Timeout | undefined;
  /** The next slot to look at; see {@link sweep}. */
  private sweepSlot = 1;

  constructor(options: LocalCacheOptions = {}) {
    const { maxBytes = DEFAULT_MAX_BYTES, maxEntries, values = 'frozen', clock = systemClock } = options;
    requirePositive('maxBytes', maxBytes);
    if (maxEntries !== undefined) {
      requirePositive('maxEntries', maxEntries);
    }
    this.values = values;
    this.clock = clock;
    this.store = new EntryStore(maxBytes, maxEntries ?? Infinity);
    this.own = this.part(() => true);
  }

  /** Entries held, expired ones included until they are swept. */
  get entryCount(): number {
    return this.store.count;
  }

  /** Estimated heap in bytes. */
  get usedBytes(): number {
    return this.store.usedBytes;
  }

  get maxBytes(): number {
    return this.store.maxBytes;
  }

  /**
   * @internal Keys of their own within the same bound: those of a namespace.
   * @param lookAheadLoads so many load times before its expiry an entry is no plain hit any more
   */
  part(isPlainKey: IsPlainKey, lookAheadLoads = 0): LocalPart {
    return new LocalPart(this.store, this.clock, isPlainKey, lookAheadLoads, () => this.startSweeping());
  }

  /** The fresh value, or `undefined`. A stored `undefined` looks the same: use {@link find} to tell them apart. */
  get(key: string): unknown {
    const entry = this.find(key);
    return entry === undefined || entry.expiresAtMs <= this.clock.nowMs() ? undefined : readStored(entry);
  }

  has(key: string): boolean {
    const entry = this.find(key);
    return entry !== undefined && entry.expiresAtMs > this.clock.nowMs();
  }

  /** The entry, fresh or within its grace, and marked as used; `undefined` if there is none. */
  find(key: string): LocalEntry | undefined {
    return this.own.find(key, this.clock.nowMs());
  }

  /** The entry as it is, whether or not it still counts, without marking it as used. */
  peek(key: string): LocalEntry | undefined {
    return this.own.peek(key);
  }

  /**
   * Keeps a value. In mode `frozen` the object given is deep-frozen, unless it holds something that can't be (a Map, Date,
   * Buffer, ...): then a copy is kept. A value larger than the whole cache is not kept, and the key is gone.
   * @returns whether it was kept
   * @throws RangeError for a TTL or grace that is no duration
   */
  set(key: string, value: unknown, options: LocalSetOptions): boolean {
    return this.put(key, storeValue(value, options.values ?? this.values), options);
  }

  /** As {@link set}, for a value that `storeValue` has made safe already. */
  put(key: string, stored: StoredValue, options: LocalPutOptions): boolean {
    return this.own.put(key, stored, options);
  }

  delete(key: string): boolean {
    return this.own.delete(key);
  }

  /** Empties all parts. */
  clear(): void {
    for (let slot = 1; slot < this.store.slotsEnd; slot++) {
      this.store.remove(slot);
    }
    this.stopSweeping();
  }

  /**
   * Drops the expired entries in the next `slots` places of the store and goes on there the next time; the default makes a
   * whole pass in about a minute. Runs by itself once a second while there are entries. An entry's place never changes, unlike
   * its place in the order of use, where a walk in slices would lose its way.
   */
  sweep(slots?: number): void {
    const { store } = this;
    const nowMs = this.clock.nowMs();
    const share = slots ?? Math.max(SWEEP_AT_LEAST, Math.ceil(store.slotsEnd / SWEEP_PASS_TICKS));
    const end = Math.min(this.sweepSlot + share, store.slotsEnd);
    for (let slot = this.sweepSlot; slot < end; slot++) {
      if (store.isUsed(slot) && store.isOver(slot, nowMs)) {
        store.remove(slot);
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

function requirePositive(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`${name} must be a positive integer, got ${String(value)}`);
  }
}
