import { EntryRing } from './entry-ring.js';
import { textBytes } from '../values/index.js';
import type { LocalEntry, LocalMark } from './local-entry.js';
import type { StoredValue } from './stored-value.js';
import { UnreadValue } from './unread-value.js';

/** A partition of the store: its keys are looked up together, and dropped together. */
export interface Room {
  /** Its index among the partitions of the store. */
  readonly id: number;
  readonly slots: Map<string, number>;
  /** Entries with a stamp up to this one are outdated. */
  overUntil: number;
}

/** An encoded key, and where its entry was found last: the slot, and the entry's stamp, which tells whether it is there still. */
export interface PlacedKey {
  readonly encoded: string;
  /** 0 before that. */
  place: number;
  /** -1 before that. */
  stamp: number;
}

/** What becomes of an entry. Times are points in time of the cache's clock, in milliseconds. */
export interface EntryFacts {
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  /** Until this time a hit needs no further check. */
  readonly readyUntilMs: number;
  readonly graceMs: number;
  readonly loadMs: number;
  readonly lifeMs: number;
  readonly marks: readonly LocalMark[] | undefined;
  /** Whether the key equals its own encoding, so that a lookup by the caller's key finds this entry and no other. */
  readonly isPlainKey: boolean;
}

/** Maximum size of one value: more than V8 can hold, and the largest number in a column of 32 bits. */
const MOST_BYTES = 2 ** 32 - 1;
/** Every comparison with NaN is false, so an entry with this time always takes the slow path. */
const NEVER = Number.NaN;
/** The slot of no entry: never fresh. */
const NO_SLOT = 0;
const PLAIN_KEY = 1;
const COPY_ON_READ = 2;
const UNREAD = 4;
/** The memory that an entry takes in the columns and in the map of slots, including their free capacity. */
const ENTRY_OVERHEAD_BYTES = 120;

/** V8 keeps an integer up to this in its place; what was read from a column of doubles gets an object of its own, unless told. */
const LARGEST_SMALL = 2 ** 31 - 1;
/** Each entry gets a higher stamp, whichever store it is in: a remembered stamp never names another entry. */
let lastStamp = 0;

/**
 * The entries of all partitions, in columns, and in one ring in the order of use. A slot in use has a value in every
 * column: therefore columns are read with `!`. The store is limited by estimated bytes and, optionally, by entries; the
 * least recently used entry is evicted first (LRU).
 */
export class EntryStore extends EntryRing {
  usedBytes = 0;
  count = 0;
  private readonly rooms: Room[] = [];

  constructor(
    readonly maxBytes: number,
    readonly maxEntries: number,
  ) {
    super();
  }

  /** Adds a partition with keys of its own. It exists as long as the store. */
  addRoom(): Room {
    const room = { id: this.rooms.length, slots: new Map<string, number>(), overUntil: 0 };
    this.rooms.push(room);
    return room;
  }

  /** Makes all present entries of a partition outdated, in O(1): they are removed when they are found. */
  startEpoch(room: Room): void {
    room.overUntil = lastStamp;
  }

  /**
   * The slot of a value that may be returned as it is; -1 otherwise. Such an entry is found by the caller's own key,
   * which equals its encoding; it is fresh, not due for a refresh, current, and without tags; it is marked as used.
   * This is the hit path: nothing is allocated.
   */
  hit(room: Room, key: string, nowMs: number): number {
    const slot = room.slots.get(key);
    return slot === undefined || (this.flags[slot]! & PLAIN_KEY) === 0 ? -1 : this.useReady(slot, room, nowMs);
  }

  /** As {@link hit}, for a key that is encoded and remembers its place: a look there is cheaper than one into the map, and at its text. */
  hitAgain(room: Room, key: PlacedKey, nowMs: number): number {
    const { place } = key;
    const isThere = this.stamps[place] === key.stamp && this.roomIds[place] === room.id;
    return this.useReady(isThere ? place : this.locate(room, key), room, nowMs);
  }

  private locate(room: Room, key: PlacedKey): number {
    const slot = room.slots.get(key.encoded) ?? NO_SLOT;
    const stamp = this.stamps[slot]!;
    key.place = slot;
    key.stamp = slot === NO_SLOT ? -1 : stamp < LARGEST_SMALL ? stamp | 0 : stamp;
    return slot;
  }

  valueAt(slot: number): unknown {
    return this.values[slot];
  }

  ttlAt(slot: number, nowMs: number): number {
    return this.expiresAtMs[slot]! - nowMs;
  }

  /**
   * Finds the slot of a key. An outdated entry is removed, another is marked as used, one in doubt is left as it is.
   * @returns the slot, or `undefined`
   */
  find(room: Room, key: string, nowMs: number): number | undefined {
    const slot = room.slots.get(key);
    if (slot === undefined) {
      return undefined;
    }
    if (this.isOver(slot, nowMs)) {
      this.remove(slot);
      return undefined;
    }
    if (this.isInDoubt(slot)) {
      return undefined;
    }
    this.use(slot);
    return slot;
  }

  /** Whether the entry may not be returned any more: it is past its grace, or what it depends on has changed. */
  isOver(slot: number, nowMs: number): boolean {
    return (
      this.expiresAtMs[slot]! + this.graceMs[slot]! <= nowMs ||
      this.stamps[slot]! <= this.roomOf(slot).overUntil ||
      this.marks.get(slot)?.some(({ scope, generation }) => scope.generation !== generation) === true
    );
  }

  private isInDoubt(slot: number): boolean {
    return this.marks.size > 0 && this.marks.get(slot)?.some(({ scope }) => scope.isInDoubt) === true;
  }

  isUsed(slot: number): boolean {
    return this.keys[slot] !== undefined;
  }

  /**
   * Stores an entry.
   * @returns whether it was kept: a value that is larger than the whole store is not, and the previous entry of the key
   * is removed
   */
  put(room: Room, key: string, stored: StoredValue | UnreadValue, facts: EntryFacts): boolean {
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
    this.values[slot] = stored instanceof UnreadValue ? stored : stored.value;
    this.bytes[slot] = bytes;
    this.stamps[slot] = ++lastStamp;
    this.write(slot, stored, facts);
    this.append(slot);
    this.usedBytes += bytes;
    this.count++;
    this.evict();
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
    this.stamps[slot] = 0;
    this.values[slot] = undefined;
    this.marks.delete(slot);
    this.copyInstances.delete(slot);
    this.giveBack(slot);
    if (this.count === 0) {
      this.shrink();
    }
  }

  /**
   * The entry as an object, for a caller that needs more than its value. A value that is kept as text is parsed for it,
   * which may evict other entries.
   */
  entryAt(slot: number): LocalEntry {
    if ((this.flags[slot]! & UNREAD) !== 0) {
      this.read(slot);
    }
    const entry = {
      value: this.values[slot],
      copyOnRead: (this.flags[slot]! & COPY_ON_READ) !== 0,
      copyInstance: this.copyInstances.get(slot),
      bytes: this.bytes[slot]!,
      storedAtMs: this.storedAtMs[slot]!,
      expiresAtMs: this.expiresAtMs[slot]!,
      keptUntilMs: this.expiresAtMs[slot]! + this.graceMs[slot]!,
      isOfNow: this.stamps[slot]! > this.roomOf(slot).overUntil,
      marks: this.marks.get(slot),
      loadMs: this.loadMs[slot]!,
      lifeMs: this.lifeMs[slot]!,
    };
    if (entry.bytes > this.maxBytes) {
      this.remove(slot); // only this entry, before it would evict all others
    }
    this.evict();
    return entry;
  }

  private read(slot: number): void {
    const unread = this.values[slot] as UnreadValue;
    const stored = unread.read();
    const growth = Math.ceil(stored.bytes - unread.bytes);
    this.flags[slot]! &= ~UNREAD;
    this.readyUntilMs[slot] = unread.readyUntilMs;
    this.values[slot] = stored.value;
    this.bytes[slot]! += growth;
    this.usedBytes += growth;
  }

  private evict(): void {
    while (this.usedBytes > this.maxBytes || this.count > this.maxEntries) {
      this.remove(this.longestUnused);
    }
  }

  private write(slot: number, stored: StoredValue | UnreadValue, facts: EntryFacts): void {
    const { marks, isPlainKey } = facts;
    this.storedAtMs[slot] = facts.storedAtMs;
    this.expiresAtMs[slot] = facts.expiresAtMs;
    this.graceMs[slot] = facts.graceMs;
    this.loadMs[slot] = facts.loadMs;
    this.lifeMs[slot] = facts.lifeMs;
    if (marks !== undefined) {
      this.marks.set(slot, marks);
    }
    const flags = isPlainKey ? PLAIN_KEY : 0;
    const readyUntilMs = marks === undefined ? facts.readyUntilMs : NEVER;
    if (stored instanceof UnreadValue) {
      this.flags[slot] = flags | UNREAD;
      this.readyUntilMs[slot] = NEVER;
      stored.readyUntilMs = readyUntilMs;
      return;
    }
    if (stored.copyInstance !== undefined) {
      this.copyInstances.set(slot, stored.copyInstance);
    }
    this.flags[slot] = flags | (stored.copyOnRead ? COPY_ON_READ : 0);
    this.readyUntilMs[slot] = stored.copyOnRead ? NEVER : readyUntilMs;
  }

  private roomOf(slot: number): Room {
    return this.rooms[this.roomIds[slot]!]!;
  }

  /**
   * Marks a slot as used and returns it, if it needs no further check. For a key without a slot, the ring's own slot is
   * checked, which is never fresh.
   */
  private useReady(slot: number, { overUntil }: Room, nowMs: number): number {
    if (!(nowMs < this.readyUntilMs[slot]!) || this.stamps[slot]! <= overUntil) {
      return -1;
    }
    this.use(slot);
    return slot;
  }
}
