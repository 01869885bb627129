import { EntryColumns, FIRST_CAPACITY } from './entry-columns.js';
import { textBytes } from './measure-value.js';
import type { LocalEntry, LocalMark, LocalScope } from './local-entry.js';
import type { StoredValue } from './stored-value.js';

/** The keys that are looked up together, and the scope that drops them all. */
export interface Room {
  /** Its place among the rooms of the store. */
  readonly id: number;
  readonly slots: Map<string, number>;
  readonly scope: LocalScope;
}

/** What becomes of an entry. Times are points in time of the cache's clock, in milliseconds. */
export interface EntryFacts {
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  readonly graceMs: number;
  readonly loadMs: number;
  readonly lifeMs: number;
  readonly marks: readonly LocalMark[] | undefined;
  /** Whether the key is its own encoding, so that a lookup by the caller's key finds it and nothing else. */
  readonly isPlainKey: boolean;
}

/** More than V8 can keep of one value, and what fits into a column of 32 bits. */
const MOST_BYTES = 2 ** 32 - 1;
/** Slot 0 is the ring's own: behind it the entry longest unused, before it the one used last. */
const RING = 0;
const PLAIN_KEY = 1;
const COPY_ON_READ = 2;
const MARKED = 4;
/** Places in the columns and in the map of slots, with what grows ahead of need. */
const ENTRY_OVERHEAD_BYTES = 120;

/**
 * The entries of all rooms in columns, and in one ring by use. A slot in use has a place in every column: that is why they are read with
 * `!`. Bounded by estimated bytes and, if wanted, entries: the one longest unused leaves first (LRU).
 */
export class EntryStore extends EntryColumns {
  usedBytes = 0;
  count = 0;
  /** Slots handed out so far; those given back are used again first. */
  private end = 1;
  /** The first of those given back; `after` leads to the next one, `RING` ends them. */
  private free = RING;
  private readonly rooms: Room[] = [];

  constructor(
    readonly maxBytes: number,
    readonly maxEntries: number,
  ) {
    super();
  }

  /** Keys of their own, dropped together when the generation of `scope` moves. A room stays as long as the store. */
  addRoom(scope: LocalScope): Room {
    const room = { id: this.rooms.length, slots: new Map<string, number>(), scope };
    this.rooms.push(room);
    return room;
  }

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
      this.expiresAtMs[slot]! + this.graceMs[slot]! <= nowMs ||
      this.generations[slot] !== this.roomOf(slot).scope.generation >>> 0 ||
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
    if (bytes > this.maxBytes || bytes > MOST_BYTES) {
      return false;
    }
    const slot = this.take();
    room.slots.set(key, slot);
    this.keys[slot] = key;
    this.roomIds[slot] = room.id;
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
    this.roomOf(slot).slots.delete(key);
    this.unlink(slot);
    this.usedBytes -= this.bytes[slot]!;
    this.count--;
    this.keys[slot] = undefined;
    this.values[slot] = undefined;
    this.marks.delete(slot);
    this.copyInstances.delete(slot);
    this.after[slot] = this.free;
    this.free = slot;
    if (this.count === 0 && this.capacity > FIRST_CAPACITY) {
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
      keptUntilMs: this.expiresAtMs[slot]! + this.graceMs[slot]!,
      isOfNow: this.generations[slot] === this.roomOf(slot).scope.generation >>> 0,
      marks: this.marks.get(slot),
      loadMs: this.loadMs[slot]!,
      lifeMs: this.lifeMs[slot]!,
    };
  }

  private write(slot: number, { copyOnRead, copyInstance }: StoredValue, facts: EntryFacts): void {
    const { marks, isPlainKey } = facts;
    this.storedAtMs[slot] = facts.storedAtMs;
    this.expiresAtMs[slot] = facts.expiresAtMs;
    this.graceMs[slot] = facts.graceMs;
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

  private roomOf(slot: number): Room {
    return this.rooms[this.roomIds[slot]!]!;
  }

  private take(): number {
    const slot = this.free;
    if (slot !== RING) {
      this.free = this.after[slot]!;
      return slot;
    }
    if (this.end >= this.capacity) {
      this.grow();
    }
    return this.end++;
  }

  /** Gives the columns of an empty store back: they would keep the size of its fullest hour. */
  private shrink(): void {
    this.end = 1;
    this.free = RING;
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
