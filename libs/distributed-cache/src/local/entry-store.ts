import { textBytes } from './measure-value.js';
import type { CopyInstance } from './copy-value.js';
import type { LocalEntry, LocalMark, LocalScope } from './local-entry.js';
import type { StoredValue } from './stored-value.js';

/** The keys that are looked up together, and the scope that drops them all. */
export interface Room {
  readonly slots: Map<string, number>;
  readonly scope: LocalScope;
}

/** What becomes of an entry. Times are points in time of the cache's clock, in milliseconds. */
export interface EntryFacts {
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  readonly keptUntilMs: number;
  readonly loadMs: number;
  readonly lifeMs: number;
  readonly marks: readonly LocalMark[] | undefined;
  /** Whether the key is its own encoding, so that a lookup by the caller's key finds it and nothing else. */
  readonly isPlainKey: boolean;
}

const FIRST_CAPACITY = 256;
/** Slot 0 is the ring's own: behind it the entry longest unused, before it the one used last. */
const RING = 0;
const PLAIN_KEY = 1;
const COPY_ON_READ = 2;
const MARKED = 4;
/** Places in the columns and in the map of slots, with what grows ahead of need. */
const ENTRY_OVERHEAD_BYTES = 150;

/**
 * The entries of all rooms in columns, so that one costs no object and no boxed number (typed arrays hold the times), and
 * in one ring by use. A slot in use has a place in every column: that is why they are read with `!`. Bounded by estimated bytes and, if wanted, entries: the one longest unused leaves first (LRU).
 */
export class EntryStore {
  usedBytes = 0;
  count = 0;
  /** Slots handed out so far; those given back are used again first. */
  private end = 1;
  private readonly free: number[] = [];
  private readonly values: unknown[] = [undefined];
  private readonly keys: (string | undefined)[] = [undefined];
  private readonly rooms: (Room | undefined)[] = [undefined];
  private readonly marks = new Map<number, readonly LocalMark[]>();
  private readonly copyInstances = new Map<number, CopyInstance>();
  private storedAtMs = new Float64Array(FIRST_CAPACITY);
  private expiresAtMs = new Float64Array(FIRST_CAPACITY);
  private keptUntilMs = new Float64Array(FIRST_CAPACITY);
  private lifeMs = new Float64Array(FIRST_CAPACITY);
  private loadMs = new Float32Array(FIRST_CAPACITY);
  private bytes = new Float64Array(FIRST_CAPACITY);
  private generations = new Uint32Array(FIRST_CAPACITY);
  private flags = new Uint8Array(FIRST_CAPACITY);
  private before = new Int32Array(FIRST_CAPACITY);
  private after = new Int32Array(FIRST_CAPACITY);

  constructor(
    readonly maxBytes: number,
    readonly maxEntries: number,
  ) {}

  /** Where slots end, for who walks them. */
  get slotsEnd(): number {
    return this.end;
  }

  /**
   * The slot of a value that may be handed out as it is: found by the caller's own key, fresh, current, without tags; marked as
   * used. -1 else. This is the hit path: nothing is allocated.
   * @param isEncoded whether the key is encoded already; a caller's own key finds only entries whose encoding it is itself
   */
  hit({ slots, scope }: Room, key: string, isEncoded: boolean, nowMs: number): number {
    const slot = slots.get(key);
    if (
      slot === undefined ||
      !(nowMs < this.expiresAtMs[slot]!) ||
      (isEncoded ? this.flags[slot]! | PLAIN_KEY : this.flags[slot]) !== PLAIN_KEY ||
      this.generations[slot] !== scope.generation >>> 0
    ) {
      return -1;
    }
    this.use(slot);
    return slot;
  }

  valueAt(slot: number): unknown {
    return this.values[slot];
  }

  ttlAt(slot: number, nowMs: number): number {
    return this.expiresAtMs[slot]! - nowMs;
  }

  loadMsAt(slot: number): number {
    return this.loadMs[slot]!;
  }

  lifeMsAt(slot: number): number {
    return this.lifeMs[slot]!;
  }

  /** @returns the slot, or `undefined`; unless it is over it is marked as used, else removed */
  find(room: Room, key: string, nowMs: number): number | undefined {
    const slot = room.slots.get(key);
    if (slot === undefined) {
      return undefined;
    }
    if (this.isOver(slot, nowMs)) {
      this.remove(slot);
      return undefined;
    }
    this.use(slot);
    return slot;
  }

  /** Whether nobody may have it any more: past its grace, or what it depends on has moved on. */
  isOver(slot: number, nowMs: number): boolean {
    return (
      this.keptUntilMs[slot]! <= nowMs ||
      this.generations[slot] !== this.rooms[slot]!.scope.generation >>> 0 ||
      this.marks.get(slot)?.some(({ scope, generation }) => scope.generation !== generation) === true
    );
  }

  isUsed(slot: number): boolean {
    return this.keys[slot] !== undefined;
  }

  /** @returns whether it was kept: what is larger than the whole store is not, and what was there before is gone */
  put(room: Room, key: string, stored: StoredValue, facts: EntryFacts): boolean {
    const before = room.slots.get(key);
    if (before !== undefined) {
      this.remove(before);
    }
    const bytes = Math.ceil(ENTRY_OVERHEAD_BYTES + textBytes(key) + stored.bytes);
    if (bytes > this.maxBytes) {
      return false;
    }
    const slot = this.take();
    room.slots.set(key, slot);
    this.keys[slot] = key;
    this.rooms[slot] = room;
    this.values[slot] = stored.value;
    this.bytes[slot] = bytes;
    this.generations[slot] = room.scope.generation;
    this.write(slot, stored, facts);
    this.append(slot);
    this.usedBytes += bytes;
    this.count++;
    while (this.usedBytes > this.maxBytes || this.count > this.maxEntries) {
      this.remove(this.after[RING]!);
    }
    return true;
  }

  remove(slot: number): void {
    const key = this.keys[slot];
    if (key === undefined) {
      return;
    }
    this.rooms[slot]!.slots.delete(key);
    this.unlink(slot);
    this.usedBytes -= this.bytes[slot]!;
    this.count--;
    this.keys[slot] = undefined;
    this.rooms[slot] = undefined;
    this.values[slot] = undefined;
    this.marks.delete(slot);
    this.copyInstances.delete(slot);
    this.free.push(slot);
    if (this.count === 0 && this.flags.length > FIRST_CAPACITY) {
      this.shrink();
    }
  }

  /** The entry as an object, for whoever needs more than its value. */
  entryAt(slot: number): LocalEntry {
    return {
      value: this.values[slot],
      copyOnRead: (this.flags[slot]! & COPY_ON_READ) !== 0,
      copyInstance: this.copyInstances.get(slot),
      bytes: this.bytes[slot]!,
      storedAtMs: this.storedAtMs[slot]!,
      expiresAtMs: this.expiresAtMs[slot]!,
      keptUntilMs: this.keptUntilMs[slot]!,
      isOfNow: this.generations[slot] === this.rooms[slot]!.scope.generation >>> 0,
      marks: this.marks.get(slot),
      loadMs: this.loadMs[slot]!,
      lifeMs: this.lifeMs[slot]!,
    };
  }

  private write(slot: number, { copyOnRead, copyInstance }: StoredValue, facts: EntryFacts): void {
    const { marks, isPlainKey } = facts;
    this.storedAtMs[slot] = facts.storedAtMs;
    this.expiresAtMs[slot] = facts.expiresAtMs;
    this.keptUntilMs[slot] = facts.keptUntilMs;
    this.loadMs[slot] = facts.loadMs;
    this.lifeMs[slot] = facts.lifeMs;
    if (marks !== undefined) {
      this.marks.set(slot, marks);
    }
    if (copyInstance !== undefined) {
      this.copyInstances.set(slot, copyInstance);
    }
    this.flags[slot] =
      (isPlainKey ? PLAIN_KEY : 0) | (copyOnRead ? COPY_ON_READ : 0) | (marks === undefined ? 0 : MARKED);
  }

  private take(): number {
    const slot = this.free.pop() ?? this.end++;
    if (slot >= this.flags.length) {
      this.resize(Math.ceil(this.flags.length * 1.5));
    }
    return slot;
  }

  private resize(capacity: number): void {
    this.storedAtMs = resized(this.storedAtMs, new Float64Array(capacity));
    this.expiresAtMs = resized(this.expiresAtMs, new Float64Array(capacity));
    this.keptUntilMs = resized(this.keptUntilMs, new Float64Array(capacity));
    this.lifeMs = resized(this.lifeMs, new Float64Array(capacity));
    this.loadMs = resized(this.loadMs, new Float32Array(capacity));
    this.bytes = resized(this.bytes, new Float64Array(capacity));
    this.generations = resized(this.generations, new Uint32Array(capacity));
    this.flags = resized(this.flags, new Uint8Array(capacity));
    this.before = resized(this.before, new Int32Array(capacity));
    this.after = resized(this.after, new Int32Array(capacity));
  }

  /** Gives the columns of an empty store back: they would keep the size of its fullest hour. */
  private shrink(): void {
    this.end = 1;
    for (const column of [this.free, this.values, this.keys, this.rooms]) {
      column.length = column === this.free ? 0 : 1;
    }
    this.resize(FIRST_CAPACITY);
    this.before[RING] = RING;
    this.after[RING] = RING;
  }

  private use(slot: number): void {
    if (this.before[RING] !== slot) {
      this.unlink(slot);
      this.append(slot);
    }
  }

  private append(slot: number): void {
    const last = this.before[RING]!;
    this.after[last] = slot;
    this.before[slot] = last;
    this.after[slot] = RING;
    this.before[RING] = slot;
  }

  private unlink(slot: number): void {
    const [before, after] = [this.before[slot]!, this.after[slot]!];
    this.after[before] = after;
    this.before[after] = before;
  }
}

function resized<
  Column extends { readonly length: number; set(from: Column): void; subarray(begin: number, end: number): Column },
>(from: Column, to: Column): Column {
  to.set(from.subarray(0, to.length));
  return to;
}
