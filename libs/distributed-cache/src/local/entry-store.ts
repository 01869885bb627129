import { EntryRing } from './entry-ring.js';
import { textBytes } from '../values/index.js';
import type { LocalEntry, LocalMark } from './local-entry.js';
import type { StoredValue } from './stored-value.js';
import { UnreadValue } from './unread-value.js';

/** The keys that are looked up together, and are dropped together. */
export interface Room {
  /** Its place among the rooms of the store. */
  readonly id: number;
  readonly slots: Map<string, number>;
  /** Entries up to this stamp are over. */
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
  /** Until then a hit needs no other look. */
  readonly readyUntilMs: number;
  readonly graceMs: number;
  readonly loadMs: number;
  readonly lifeMs: number;
  readonly marks: readonly LocalMark[] | undefined;
  /** Whether the key is its own encoding, so that a lookup by the caller's key finds it and nothing else. */
  readonly isPlainKey: boolean;
}

/** More than V8 can keep of one value, and what fits into a column of 32 bits. */
const MOST_BYTES = 2 ** 32 - 1;
/** Not before this point in time, whatever the clock. */
const NEVER = Number.NaN;
/** The slot of no entry: never fresh. */
const NO_SLOT = 0;
const PLAIN_KEY = 1;
const COPY_ON_READ = 2;
const UNREAD = 4;
/** Places in the columns and in the map of slots, with what grows ahead of need. */
const ENTRY_OVERHEAD_BYTES = 120;

/** V8 keeps an integer up to this in its place; what was read from a column of doubles gets an object of its own, unless told. */
const LARGEST_SMALL = 2 ** 31 - 1;
/** Every entry gets a higher one, whichever store it is in: who remembers a stamp can't take another entry for the one it was. */
let lastStamp = 0;

/**
 * The entries of all rooms in columns, and in one ring by use. A slot in use has a place in every column: that is why they are read with
 * `!`. Bounded by estimated bytes and, if wanted, entries: the one longest unused leaves first (LRU).
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

  /** Keys of their own. A room stays as long as the store. */
  addRoom(): Room {
    const room = { id: this.rooms.length, slots: new Map<string, number>(), overUntil: 0 };
    this.rooms.push(room);
    return room;
  }

  /** Entries that the room has now are over. O(1): they leave when they are come across. */
  startEpoch(room: Room): void {
    room.overUntil = lastStamp;
  }

  /**
   * The slot of a value that may be handed out as it is: found by the caller's own key, which is its encoding, fresh, not yet to be
   * refreshed, current, without tags; marked as used. -1 else. This is the hit path: nothing is allocated.
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

  /** @returns the slot, or `undefined`; unless it is over it is marked as used, else removed; one in doubt stays unused */
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

  /** Whether nobody may have it any more: past its grace, or what it depends on has moved on. */
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

  /** @returns whether it was kept: what is larger than the whole store is not, and what was there before is gone */
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

  /** The entry as an object, for whoever needs more than its value. It is read by now: others may have to leave for what that takes. */
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
      this.remove(slot); // it alone, before it drives everything else out
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

  /** What is in no slot is asked for in the ring's own, which is never fresh. */
  private useReady(slot: number, { overUntil }: Room, nowMs: number): number {
    if (!(nowMs < this.readyUntilMs[slot]!) || this.stamps[slot]! <= overUntil) {
      return -1;
    }
    this.use(slot);
    return slot;
  }
}
