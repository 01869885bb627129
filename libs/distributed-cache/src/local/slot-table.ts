import type { CopyInstance } from '../values/index.js';
import type { TagScope, TagVersion } from './stored-value.js';

const FIRST_CAPACITY = 256;
/**
 * The factor by which the columns grow. Free capacity takes memory as well: at this factor it is a fifth at most, and
 * each entry is moved four times on average.
 */
const GROWTH = 1.25;
/** V8 makes a dictionary of an array that is created with a greater length than this. */
const MAX_CREATED_LENGTH = 32 * 1024 * 1024;
/**
 * Two slots hold no entry: each is the sentinel of a queue. The slot after it is the oldest entry of the queue, the slot
 * before it the newest one.
 */
export const SMALL = 0;
export const MAIN = 1;
const FIRST_SLOT = 2;
/** The end of the list of free slots. */
const NONE_FREE = 0;

/** What the entries of L1 can be ranked by: see {@link TopEntry}. */
export type TopOrder = 'uses' | 'bytes' | 'loadMs' | 'savedMs';

/** One entry of L1 and what it takes and saves. */
export interface TopEntry {
  /** The key in its encoded form: shorten it with `describeKey` before it leaves the process. */
  readonly key: string;
  /** How often a lookup has found it in L1 since the key was first stored there. A removal starts anew. */
  readonly uses: number;
  /** Its estimated size on the heap, in bytes. */
  readonly bytes: number;
  /** How long its loader took, in milliseconds; 0 when the value was set. */
  readonly loadMs: number;
  /** The load time that its uses have saved, in milliseconds: `uses * loadMs`. */
  readonly savedMs: number;
  /** The rest of its fresh life, in milliseconds; zero or less when it is stale. */
  readonly ttlMs: number;
}

/** A key, and how often a lookup has found it in L1 within some time. */
export interface KeyUses {
  readonly key: string;
  readonly uses: number;
}

/** An entry that was used lately, to be compared with the same entry in Redis. */
export interface UsedEntry {
  readonly key: string;
  readonly partitionId: number;
  /** When it was made in Redis, in the server's time. */
  readonly createdAtMs: number;
  readonly slot: number;
  readonly sequence: number;
}

/** Keys with more uses than this are told apart only by sorting them. */
const MOST_COUNTED = 10_000;

/**
 * The table in which L1 keeps its entries: one row per entry, called a slot, and one column per fact. A row takes no
 * object and no boxed number. Points in time are doubles; durations are floats, exact up to four hours, to a few
 * milliseconds in a day, to a second in a year. All columns have the same length.
 *
 * The slots in use form two queues, the free slots a list.
 *
 * The types of the columns are written out: an inferred `Uint32Array<ArrayBuffer>` is no type before TypeScript 5.7.
 */
export abstract class SlotTable {
  protected values = emptyArray<unknown>(FIRST_CAPACITY);
  protected keys = emptyArray<string | undefined>(FIRST_CAPACITY);
  protected readonly tagVersions = new Map<number, readonly TagVersion[]>();
  protected readonly copyInstances = new Map<number, CopyInstance>();
  protected partitionIds: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  protected storedAtMs: Float64Array = new Float64Array(FIRST_CAPACITY);
  /** When the same entry was made in Redis, in the server's time; `NaN`: Redis does not have it, or that is unknown. */
  protected createdAtMs: Float64Array = new Float64Array(FIRST_CAPACITY);
  protected expiresAtMs: Float64Array = new Float64Array(FIRST_CAPACITY);
  /** Until this time the value may be returned as it is, without further checks; `NaN`: never. */
  protected readyUntilMs: Float64Array = new Float64Array(FIRST_CAPACITY);
  protected graceMs: Float32Array = new Float32Array(FIRST_CAPACITY);
  protected fullTtlMs: Float32Array = new Float32Array(FIRST_CAPACITY);
  protected loadMs: Float32Array = new Float32Array(FIRST_CAPACITY);
  protected bytes: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  protected sequences: Float64Array = new Float64Array(FIRST_CAPACITY);
  protected flags: Uint8Array = new Uint8Array(FIRST_CAPACITY);
  /** How often each entry was found, since its key was first stored; after 2 ** 32 uses it starts again at 0. */
  protected uses: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  /** What `uses` was when they were last taken: see {@link takeUses}. */
  protected takenUses: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  /** The numbers of the layouts by which the values are copied; 0: not known yet. */
  protected layouts: Uint16Array = new Uint16Array(FIRST_CAPACITY);
  /** The `uses` of each entry when it was last considered for eviction. */
  protected usesSeen: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  /** The queue of each entry, by its sentinel. */
  protected queues: Uint8Array = new Uint8Array(FIRST_CAPACITY);
  protected before: Int32Array = sentinels(FIRST_CAPACITY);
  protected after: Int32Array = sentinels(FIRST_CAPACITY);
  /** Fingerprints of keys that have left, at places that follow from them and not from slots. */
  protected ghosts: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  /** The slot of the entry that a lookup has found last. */
  protected lastFound = SMALL;
  /** The end of the slots that were ever in use; free slots are used again first. */
  private end = FIRST_SLOT;
  /** The first free slot; `after` leads to the next one. */
  private free = NONE_FREE;

  /** The slot after the last one, for a walk over all slots. */
  get slotsEnd(): number {
    return this.end;
  }

  /** Counts a use of the entry in this slot. @returns the load time that it has saved, in milliseconds */
  countUse(slot: number): number {
    this.uses[slot]!++;
    this.lastFound = slot;
    return this.loadMs[slot]!;
  }

  /**
   * Takes the uses since the last call: those of the keys that were used most, in descending order. It looks at each slot
   * given, and sorts only what it returns.
   */
  takeUses(slots: Iterable<number>, limit: number): KeyUses[] {
    const { uses, takenUses } = this;
    const used: number[] = [];
    const keysWith = new Uint32Array(MOST_COUNTED + 1); // by the number of their uses
    for (const slot of slots) {
      const count = uses[slot]! - takenUses[slot]!;
      if (count > 0) {
        used.push(slot);
        keysWith[Math.min(count, MOST_COUNTED)]!++;
      }
    }
    let least = MOST_COUNTED;
    let above = 0; // the keys with more uses than that
    while (least > 1 && above + keysWith[least]! < limit) {
      above += keysWith[least--]!;
    }
    let room = limit - above;
    const most: KeyUses[] = [];
    for (const slot of used) {
      const count = uses[slot]! - takenUses[slot]!;
      takenUses[slot] = uses[slot]!;
      if (count > least || (count === least && (least === MOST_COUNTED || room-- > 0))) {
        most.push({ key: this.keys[slot]!, uses: count });
      }
    }
    return most.sort((one, other) => other.uses - one.uses).slice(0, limit);
  }

  /** The rest of the fresh life of the entry in this slot, in milliseconds; zero or less when it is stale. */
  ttlAt(slot: number, nowMs: number): number {
    return this.expiresAtMs[slot]! - nowMs;
  }

  /** Whether the entry in this slot depends on a scope whose generation is known. */
  dependsOn(slot: number, scope: TagScope): boolean {
    return scope.isInDoubt !== true && this.tagVersions.get(slot)?.some((each) => each.scope === scope) === true;
  }

  /** Whether the entry is still in its slot. */
  isInSlot({ slot, sequence }: UsedEntry): boolean {
    return this.sequences[slot] === sequence;
  }

  /** The entry that a lookup has found last, if it exists in Redis and may still be returned. */
  lastUsed(mayReturn: (slot: number) => boolean): UsedEntry | undefined {
    const slot = this.lastFound;
    const [key, createdAtMs] = [this.keys[slot], this.createdAtMs[slot]!];
    return key !== undefined && this.uses[slot]! > 0 && createdAtMs > 0 && mayReturn(slot)
      ? { key, partitionId: this.partitionIds[slot]!, createdAtMs, slot, sequence: this.sequences[slot]! }
      : undefined;
  }

  /** The entries in these slots that rank first, in descending order. */
  protected rank(
    slots: Iterable<number>,
    by: TopOrder,
    limit: number,
    nowMs: number,
    isShown: (slot: number) => boolean,
  ): TopEntry[] {
    const top: TopEntry[] = [];
    for (const slot of slots) {
      const uses = this.uses[slot]!;
      const loadMs = this.loadMs[slot]!;
      const facts = { uses, bytes: this.bytes[slot]!, loadMs, savedMs: uses * loadMs };
      const last = top[limit - 1];
      if ((last === undefined || facts[by] > last[by]) && isShown(slot)) {
        const rank = top.findLastIndex((entry) => entry[by] >= facts[by]) + 1;
        top.splice(rank, 0, { key: this.keys[slot]!, ...facts, ttlMs: this.ttlAt(slot, nowMs) });
        top.length = Math.min(top.length, limit);
      }
    }
    return top;
  }

  protected allocate(): number {
    const slot = this.free;
    if (slot !== NONE_FREE) {
      this.free = this.after[slot]!;
      return slot;
    }
    if (this.end >= this.capacity) {
      this.resize(Math.ceil(this.capacity * GROWTH));
    }
    return this.end++;
  }

  protected release(slot: number): void {
    this.after[slot] = this.free;
    this.free = slot;
  }

  /** Shrinks the columns of an empty store, which keep the size that they had at their largest. */
  protected shrink(): void {
    if (this.capacity > FIRST_CAPACITY) {
      this.end = FIRST_SLOT;
      this.free = NONE_FREE;
      this.resize(FIRST_CAPACITY);
    }
  }

  private get capacity(): number {
    return this.flags.length;
  }

  private resize(capacity: number): void {
    this.values = resizedArray(this.values, capacity);
    this.keys = resizedArray(this.keys, capacity);
    this.partitionIds = resized(this.partitionIds, new Uint32Array(capacity));
    this.storedAtMs = resized(this.storedAtMs, new Float64Array(capacity));
    this.createdAtMs = resized(this.createdAtMs, new Float64Array(capacity));
    this.expiresAtMs = resized(this.expiresAtMs, new Float64Array(capacity));
    this.readyUntilMs = resized(this.readyUntilMs, new Float64Array(capacity));
    this.graceMs = resized(this.graceMs, new Float32Array(capacity));
    this.fullTtlMs = resized(this.fullTtlMs, new Float32Array(capacity));
    this.loadMs = resized(this.loadMs, new Float32Array(capacity));
    this.bytes = resized(this.bytes, new Uint32Array(capacity));
    this.sequences = resized(this.sequences, new Float64Array(capacity));
    this.flags = resized(this.flags, new Uint8Array(capacity));
    this.uses = resized(this.uses, new Uint32Array(capacity));
    this.takenUses = resized(this.takenUses, new Uint32Array(capacity));
    this.layouts = resized(this.layouts, new Uint16Array(capacity));
    this.usesSeen = resized(this.usesSeen, new Uint32Array(capacity));
    this.queues = resized(this.queues, new Uint8Array(capacity));
    this.before = resized(this.before, new Int32Array(capacity));
    this.after = resized(this.after, new Int32Array(capacity));
    this.ghosts = new Uint32Array(capacity);
  }
}

function sentinels(capacity: number): Int32Array {
  const column = new Int32Array(capacity);
  column[MAIN] = MAIN;
  return column;
}

function resized<
  Column extends { readonly length: number; set(from: Column): void; subarray(begin: number, end: number): Column },
>(from: Column, to: Column): Column {
  to.set(from.subarray(0, to.length));
  return to;
}

/**
 * An array that is created with its full length: an array that grows by itself reserves half of its length in advance.
 */
function emptyArray<Item>(length: number): Item[] {
  // oxlint-disable-next-line unicorn/no-new-array -- `Array.from` lets it grow by itself
  return new Array<Item>(length);
}

function resizedArray<Item>(from: Item[], capacity: number): Item[] {
  if (capacity > MAX_CREATED_LENGTH) {
    return from;
  }
  const to = emptyArray<Item>(capacity);
  for (let slot = Math.min(from.length, capacity) - 1; slot >= 0; slot--) {
    to[slot] = from[slot] as Item;
  }
  return to;
}
