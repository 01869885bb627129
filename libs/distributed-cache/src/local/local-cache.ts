import { LRUCache } from 'lru-cache';
import { systemClock, type Clock } from './clock.js';
import { primitiveBytes } from './measure-value.js';
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

/** Entries of a scope are dropped all at once, in O(1), by moving its generation. */
export interface LocalScope {
  generation: number;
}

/** A scope as it was when the work on a value began; the value is over as soon as the scope has moved on. */
export interface LocalMark {
  readonly scope: LocalScope;
  readonly generation: number;
}

export interface LocalPutOptions {
  /** How long the value is fresh, in milliseconds. */
  readonly ttlMs: number;
  /** How long it is kept after that, in milliseconds. Default 0. */
  readonly graceMs?: number;
  readonly scope?: LocalScope;
  /** Further scopes that the value depends on. */
  readonly marks?: readonly LocalMark[];
  /** How long it took to make the value, in milliseconds. Default 0: unknown. */
  readonly loadMs?: number;
  /** The whole fresh life of the value, of which `ttlMs` is what is left, in milliseconds. Default: `ttlMs`. */
  readonly lifeMs?: number;
}

export interface LocalSetOptions extends LocalPutOptions {
  /** Default: the cache's. */
  readonly values?: ValuesMode;
}

export interface LocalEntry extends StoredValue {
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  readonly keptUntilMs: number;
  readonly scope: LocalScope;
  readonly generation: number;
  readonly marks: readonly LocalMark[] | undefined;
  readonly loadMs: number;
  readonly lifeMs: number;
}

const DEFAULT_MAX_BYTES = 100 * 1024 * 1024;
/** The entry object, its boxed times, and its place in the LRU's map and lists. */
const ENTRY_OVERHEAD_BYTES = 260;
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
  private readonly entries: LRUCache<string, LocalEntry>;
  private readonly values: ValuesMode;
  private readonly clock: Clock;
  private readonly ownScope: LocalScope = { generation: 0 };
  private sweepTimer: NodeJS.Timeout | undefined;
  /** The next slot to look at; see {@link sweep}. */
  private sweepSlot = 0;

  constructor(options: LocalCacheOptions = {}) {
    const { maxBytes = DEFAULT_MAX_BYTES, maxEntries, values = 'frozen', clock = systemClock } = options;
    requirePositive('maxBytes', maxBytes);
    if (maxEntries !== undefined) {
      requirePositive('maxEntries', maxEntries);
    }
    this.values = values;
    this.clock = clock;
    this.entries = new LRUCache({ maxSize: maxBytes, ...(maxEntries === undefined ? {} : { max: maxEntries }) });
  }

  /** Entries held, expired ones included until they are swept. */
  get entryCount(): number {
    return this.entries.size;
  }

  /** Estimated heap in bytes. */
  get usedBytes(): number {
    return this.entries.calculatedSize;
  }

  get maxBytes(): number {
    return this.entries.maxSize;
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

  /**
   * The entry, fresh or within its grace, and marked as used; `undefined` if there is none.
   * @param nowMs the clock's time, from a caller that has just read it
   */
  find(key: string, nowMs = this.clock.nowMs()): LocalEntry | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) {
      return undefined;
    }
    if (this.isOver(entry, nowMs)) {
      this.entries.delete(key);
      return undefined;
    }
    return entry;
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
    const { ttlMs, graceMs = 0, scope = this.ownScope, marks, loadMs = 0, lifeMs = ttlMs } = options;
    requireDuration('ttlMs', ttlMs);
    requireDuration('graceMs', graceMs);
    const nowMs = this.clock.nowMs();
    const entry: LocalEntry = {
      value: stored.value,
      copyOnRead: stored.copyOnRead,
      copyInstance: stored.copyInstance,
      bytes: Math.ceil(ENTRY_OVERHEAD_BYTES + primitiveBytes(key) + stored.bytes),
      storedAtMs: nowMs,
      expiresAtMs: nowMs + ttlMs,
      keptUntilMs: nowMs + ttlMs + graceMs,
      scope,
      generation: scope.generation,
      marks,
      loadMs: Math.round(loadMs),
      lifeMs: Math.round(lifeMs),
    };
    this.entries.set(key, entry, { size: entry.bytes });
    this.startSweeping();
    return this.entries.peek(key) === entry;
  }

  delete(key: string): boolean {
    const entry = this.entries.peek(key);
    this.entries.delete(key);
    return entry !== undefined && !this.isOver(entry);
  }

  clear(): void {
    this.entries.clear();
    this.stopSweeping();
  }

  /**
   * Drops the expired entries in the next `slots` places of the store and goes on there the next time; the default makes a
   * whole pass in about a minute. Runs by itself once a second while there are entries.
   *
   * The LRU's own order can't be walked in slices: an entry that is used moves to its end, and a walk that stood on it
   * ends there too. An entry's place in the store never changes, and only lru-cache's internals show it (read only).
   */
  sweep(slots?: number): void {
    const { keyList } = LRUCache.unsafeExposeInternals(this.entries);
    const share = slots ?? Math.max(SWEEP_AT_LEAST, Math.ceil(keyList.length / SWEEP_PASS_TICKS));
    const end = Math.min(this.sweepSlot + share, keyList.length);
    for (let slot = this.sweepSlot; slot < end; slot++) {
      const key = keyList[slot];
      const entry = key === undefined ? undefined : this.entries.peek(key);
      if (key !== undefined && entry !== undefined && this.isOver(entry)) {
        this.entries.delete(key);
      }
    }
    this.sweepSlot = end < keyList.length ? end : 0;
    if (this.entries.size === 0) {
      this.stopSweeping();
    }
  }

  private isOver(entry: LocalEntry, nowMs = this.clock.nowMs()): boolean {
    return (
      entry.generation !== entry.scope.generation ||
      entry.keptUntilMs <= nowMs ||
      entry.marks?.some(({ scope, generation }) => scope.generation !== generation) === true
    );
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
    this.sweepSlot = 0;
  }
}

function requirePositive(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`${name} must be a positive integer, got ${String(value)}`);
  }
}

/** Without this, a `NaN` would be an entry that never ends. */
function requireDuration(name: string, value: number): void {
  if (typeof value !== 'number' || !(value >= 0)) {
    throw new RangeError(`${name} must be zero or more milliseconds, got ${String(value)}`);
  }
}
