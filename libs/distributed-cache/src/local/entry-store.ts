import { copyKept, layoutOf, textBytes } from '../values/index.js';
import {
  AwaitedUses,
  DeferredJson,
  isCopied,
  type LocalEntry,
  type ReadAhead,
  type StoredValue,
  type TagVersion,
  type ValueForm,
  type ValuesMode,
} from './stored-value.js';
import { EvictionQueues } from './eviction-queues.js';
import type { TopEntry, TopOrder } from './slot-table.js';

/** The index of one partition: its keys, and the slots of their entries. One operation invalidates all entries of a partition. */
export interface PartitionIndex {
  /** Its index among the partitions of the store. */
  readonly id: number;
  readonly slots: Map<string, number>;
  /** Entries with a sequence up to this one are of an earlier epoch. */
  outdatedUpTo: number;
  /** The estimated heap of its entries, in bytes. */
  bytes: number;
  readonly onEvicted: OnEvicted;
  readonly ahead: AwaitedUses;
}

/**
 * Why an entry left the store. `invalidated`: it was deleted, or a scope that it depends on has a new generation.
 * `epoch`: its partition was invalidated as a whole.
 */
export type EvictionReason = 'capacity' | 'expired' | 'invalidated' | 'epoch';

/** Called for each entry that leaves, except when its key gets another value, and when L1 is emptied. */
export type OnEvicted = (reason: EvictionReason) => void;

/**
 * An encoded key that remembers the slot of its entry. The slot is valid while its sequence and its partition are those
 * of the last lookup.
 */
export interface KeyWithSlot {
  readonly encoded: string;
  /** 0 when the last lookup found no entry. */
  slot: number;
  /** -1 when the last lookup found no entry. */
  sequence: number;
}

/** The facts about an entry besides its value. Times are points in time of the cache's clock, in milliseconds. */
export interface EntryFacts {
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  /** Until this time a hit returns the entry if its epoch is current. */
  readonly readyUntilMs: number;
  readonly graceMs: number;
  readonly loadMs: number;
  readonly fullTtlMs: number;
  /** When the same entry was made in Redis, in the server's time; absent: Redis does not have it. */
  readonly createdAtMs?: number | undefined;
  readonly tagVersions: readonly TagVersion[] | undefined;
  /** Whether the key equals its own encoding, so that a lookup by the caller's key finds this entry and no other. */
  readonly isPlainKey: boolean;
}

/** Maximum size of one entry, in bytes: the largest number of a column of 32 bits. */
const MAX_BYTES = 2 ** 32 - 1;
/** Every comparison with NaN is false, so an entry with this time always takes the slow path. */
const NEVER = Number.NaN;
/** A slot that no entry has, and that is never fresh. */
const NO_SLOT = 0;
const PLAIN_KEY = 1;
const DEFERRED = 2;
const IS_TREE = 4;
const FORM_FLAGS = { plain: 0, own: 8, frozen: 16, shared: 32 } as const satisfies Record<ValueForm, number>;
const FORMS: readonly ValueForm[] = ['own', 'frozen', 'shared'];
/** The memory that an entry takes in the columns and in the map of slots, including their free capacity. */
const ENTRY_OVERHEAD_BYTES = 146;

/** How a caller reads values: its mode, and the flags of the forms that it gets a copy of. */
export interface Reading {
  readonly mode: ValuesMode;
  readonly copied: number;
}

const READINGS: Readonly<Record<ValuesMode, Reading>> = {
  cloned: reading('cloned'),
  frozen: reading('frozen'),
  shared: reading('shared'),
};

export function readingOf(mode: ValuesMode): Reading {
  return READINGS[mode];
}

function reading(mode: ValuesMode): Reading {
  const copied = FORMS.filter((form) => isCopied(form, mode)).reduce((flags, form) => flags | FORM_FLAGS[form], 0);
  return { mode, copied };
}

/**
 * V8 stores an integer up to this one without an object. A number that was read from a column of doubles gets an
 * object, unless `| 0` makes it such an integer.
 */
const MAX_SMALL_INTEGER = 2 ** 31 - 1;
/**
 * The sequence of the entry that was stored last. It counts across all stores of the process, because a prepared key
 * may be used with several of them, and a remembered sequence must never match another entry.
 */
let lastSequence = 0;

/**
 * The entries of all partitions. A typed array has a number for each slot, so columns are read with `!`. The store is
 * limited by estimated bytes and, optionally, by entries; {@link EvictionQueues} decides which entry leaves first.
 */
export class EntryStore extends EvictionQueues {
  private readonly partitions: PartitionIndex[] = [];

  /** Adds a partition with keys of its own. It exists as long as the store. */
  addPartition(onEvicted: OnEvicted = () => {}): PartitionIndex {
    const { length: id } = this.partitions;
    const partition = {
      id,
      slots: new Map<string, number>(),
      outdatedUpTo: 0,
      bytes: 0,
      onEvicted,
      ahead: new AwaitedUses(),
    };
    this.partitions.push(partition);
    return partition;
  }

  /** Invalidates all present entries of a partition, in O(1): each is removed when a lookup finds it. */
  startEpoch(partition: PartitionIndex): void {
    partition.outdatedUpTo = lastSequence;
  }

  /**
   * Returns the slot of an entry that may be returned without further checks; -1 otherwise. Such an entry is fresh, not due for a refresh, of the current epoch, without tags, and not kept as text;
   * the caller's key equals its encoding. This is the hit path: nothing is allocated.
   */
  hit(partition: PartitionIndex, key: string, nowMs: number): number {
    const slot = partition.slots.get(key);
    return slot === undefined || (this.flags[slot]! & PLAIN_KEY) === 0 ? -1 : this.ready(slot, partition, nowMs);
  }

  /**
   * Returns the slot of a value as {@link hit} does, for an encoded key that remembers its slot: to check the slot is
   * cheaper than to look the text up in the map.
   */
  hitAgain(partition: PartitionIndex, key: KeyWithSlot, nowMs: number): number {
    const { slot } = key;
    const isThere = this.sequences[slot] === key.sequence && this.partitionIds[slot] === partition.id;
    return this.ready(isThere ? slot : this.locate(partition, key), partition, nowMs);
  }

  private locate(partition: PartitionIndex, key: KeyWithSlot): number {
    const slot = partition.slots.get(key.encoded) ?? NO_SLOT;
    const sequence = this.sequences[slot]!;
    key.slot = slot;
    key.sequence = slot === NO_SLOT ? -1 : sequence < MAX_SMALL_INTEGER ? sequence | 0 : sequence;
    return slot;
  }

  /** The value for a caller that reads it so: as it is kept, or a copy. */
  valueAt(slot: number, { mode, copied }: Reading): unknown {
    return (this.flags[slot]! & copied) === 0 ? this.values[slot] : this.copyAt(slot, mode);
  }

  private copyAt(slot: number, mode: ValuesMode): unknown {
    const value = this.values[slot];
    const isTree = (this.flags[slot]! & IS_TREE) !== 0;
    const copyInstance = this.copyInstances.get(slot);
    return copyKept({ value, isTree, layout: this.layoutAt(slot), copyInstance }, mode === 'frozen');
  }

  /** The layout of a value that is a tree; 0: there is none yet. */
  private layoutAt(slot: number): number {
    const layout = this.layouts[slot]!;
    if (layout !== 0 || (this.flags[slot]! & IS_TREE) === 0) {
      return layout;
    }
    return (this.layouts[slot] = layoutOf(this.values[slot] as object));
  }

  /** The entries of a partition that rank first, in descending order, by a walk over all of them. */
  top(partition: PartitionIndex, by: TopOrder, limit: number, nowMs: number): TopEntry[] {
    return this.rank(partition.slots.values(), by, limit, nowMs, (slot) => !this.isOutdated(slot, nowMs));
  }

  /**
   * Finds the slot of a key, and counts a use of its entry. The entry may be stale. An outdated entry is removed
   * ({@link isOutdated}). An entry with a tag in doubt stays, and is not returned.
   * @returns the slot, or `undefined`
   */
  find(partition: PartitionIndex, key: string, nowMs: number): number | undefined {
    const slot = partition.slots.get(key);
    if (slot === undefined) {
      return undefined;
    }
    if (this.removeIfOutdated(slot, nowMs) || this.isInDoubt(slot)) {
      return undefined;
    }
    this.countUse(slot);
    return slot;
  }

  /**
   * Whether the entry may not be returned any more: its grace or its epoch is over, or a scope that it depends on has a
   * new generation.
   */
  isOutdated(slot: number, nowMs: number): boolean {
    return this.whyOutdated(slot, nowMs) !== undefined;
  }

  private whyOutdated(slot: number, nowMs: number): EvictionReason | undefined {
    if (this.expiresAtMs[slot]! + this.graceMs[slot]! <= nowMs) {
      return 'expired';
    }
    if (this.sequences[slot]! <= this.partitionOf(slot).outdatedUpTo) {
      return 'epoch';
    }
    return this.tagVersions.get(slot)?.some(({ scope, generation }) => scope.generation !== generation) === true
      ? 'invalidated'
      : undefined;
  }

  /** @returns whether it was outdated, and is removed */
  removeIfOutdated(slot: number, nowMs: number): boolean {
    const reason = this.whyOutdated(slot, nowMs);
    if (reason !== undefined) {
      this.removeFor(reason, slot);
    }
    return reason !== undefined;
  }

  /** Removes an entry and reports why. */
  removeFor(reason: EvictionReason, slot: number): void {
    const { onEvicted } = this.partitionOf(slot);
    this.remove(slot);
    onEvicted(reason);
  }

  /** Whether a lookup would return the entry in this slot, as fresh. */
  mayReturn(slot: number, nowMs: number): boolean {
    return this.ttlAt(slot, nowMs) > 0 && !this.isOutdated(slot, nowMs) && !this.isInDoubt(slot);
  }

  private isInDoubt(slot: number): boolean {
    return this.tagVersions.size > 0 && this.tagVersions.get(slot)?.some(({ scope }) => scope.isInDoubt) === true;
  }

  isUsed(slot: number): boolean {
    return this.keys[slot] !== undefined;
  }

  /**
   * Stores an entry.
   * @returns whether it was kept. A value that is larger than the whole store is not, and the previous entry of the key
   * is removed nevertheless
   */
  put(partition: PartitionIndex, key: string, stored: StoredValue | DeferredJson, facts: EntryFacts): boolean {
    const before = partition.slots.get(key);
    const [uses, taken] = before === undefined ? [0, 0] : [this.uses[before]!, this.takenUses[before]!];
    if (before !== undefined) {
      this.remove(before);
    }
    const bytes = Math.ceil(ENTRY_OVERHEAD_BYTES + textBytes(key) + stored.bytes);
    if (bytes > this.maxBytes || bytes > MAX_BYTES) {
      return false;
    }
    this.evict(bytes);
    const slot = this.allocate();
    partition.slots.set(key, slot);
    this.keys[slot] = key;
    this.partitionIds[slot] = partition.id;
    this.values[slot] = stored instanceof DeferredJson ? stored : stored.value;
    this.layouts[slot] = 0;
    this.uses[slot] = uses;
    this.takenUses[slot] = taken;
    this.bytes[slot] = bytes;
    this.sequences[slot] = ++lastSequence;
    this.write(slot, stored, facts);
    this.enqueue(slot, before);
    this.usedBytes += bytes;
    partition.bytes += bytes;
    this.count++;
    return true;
  }

  remove(slot: number): void {
    const key = this.keys[slot];
    if (key === undefined) {
      return;
    }
    const partition = this.partitionOf(slot);
    partition.ahead.end(slot, this.uses[slot]!);
    partition.slots.delete(key);
    this.dequeue(slot);
    this.usedBytes -= this.bytes[slot]!;
    partition.bytes -= this.bytes[slot]!;
    this.count--;
    this.keys[slot] = undefined;
    this.sequences[slot] = 0;
    this.values[slot] = undefined;
    this.tagVersions.delete(slot);
    this.copyInstances.delete(slot);
    this.release(slot);
    if (this.count === 0) {
      this.shrink();
    }
  }

  /** Reports of an entry that was just stored whether it is used, see {@link AwaitedUses}. */
  awaitUse({ slots, ahead }: PartitionIndex, key: string, entry: ReadAhead): void {
    const slot = slots.get(key)!;
    const overdue = ahead.add(slot, this.uses[slot]!, entry);
    if (overdue !== undefined) {
      ahead.end(overdue, this.uses[overdue]!);
    }
  }

  /**
   * The entry as an object, for a caller that needs more than its value. A value that is kept as text is parsed for it.
   * That may evict other entries, or this one if it exceeds `maxBytes`.
   */
  entryAt(slot: number): LocalEntry {
    if ((this.flags[slot]! & DEFERRED) !== 0) {
      this.parseDeferred(slot);
    }
    const entry = {
      value: this.values[slot],
      form: this.formAt(slot),
      isTree: (this.flags[slot]! & IS_TREE) !== 0,
      layout: this.layoutAt(slot),
      copyInstance: this.copyInstances.get(slot),
      bytes: this.bytes[slot]!,
      storedAtMs: this.storedAtMs[slot]!,
      createdAtMs: this.createdAtMs[slot]!,
      expiresAtMs: this.expiresAtMs[slot]!,
      keptUntilMs: this.expiresAtMs[slot]! + this.graceMs[slot]!,
      isOfNow: this.sequences[slot]! > this.partitionOf(slot).outdatedUpTo,
      marks: this.tagVersions.get(slot),
      loadMs: this.loadMs[slot]!,
      lifeMs: this.fullTtlMs[slot]!,
    };
    if (entry.bytes > this.maxBytes) {
      this.removeFor('capacity', slot); // otherwise it would evict all others first
    }
    this.evict();
    return entry;
  }

  private parseDeferred(slot: number): void {
    const deferred = this.values[slot] as DeferredJson;
    const stored = deferred.read();
    const growth = Math.ceil(stored.bytes - deferred.bytes);
    this.flags[slot] = (this.flags[slot]! & PLAIN_KEY) | flagsOf(stored);
    this.readyUntilMs[slot] = deferred.readyUntilMs;
    this.values[slot] = stored.value;
    this.grow(slot, growth);
    this.usedBytes += growth;
    this.partitionOf(slot).bytes += growth;
  }

  protected override evictSlot(slot: number): void {
    this.removeFor('capacity', slot);
  }

  private write(slot: number, stored: StoredValue | DeferredJson, facts: EntryFacts): void {
    const { tagVersions, isPlainKey } = facts;
    this.storedAtMs[slot] = facts.storedAtMs;
    this.createdAtMs[slot] = facts.createdAtMs ?? NEVER;
    this.expiresAtMs[slot] = facts.expiresAtMs;
    this.graceMs[slot] = facts.graceMs;
    this.loadMs[slot] = facts.loadMs;
    this.fullTtlMs[slot] = facts.fullTtlMs;
    if (tagVersions !== undefined) {
      this.tagVersions.set(slot, tagVersions);
    }
    const flags = isPlainKey ? PLAIN_KEY : 0;
    const readyUntilMs = tagVersions === undefined ? facts.readyUntilMs : NEVER;
    if (stored instanceof DeferredJson) {
      this.flags[slot] = flags | DEFERRED;
      this.readyUntilMs[slot] = NEVER;
      stored.readyUntilMs = readyUntilMs;
      return;
    }
    if (stored.copyInstance !== undefined) {
      this.copyInstances.set(slot, stored.copyInstance);
    }
    this.flags[slot] = flags | flagsOf(stored);
    this.readyUntilMs[slot] = readyUntilMs;
  }

  private formAt(slot: number): ValueForm {
    const flags = this.flags[slot]!;
    return FORMS.find((form) => (flags & FORM_FLAGS[form]) !== 0) ?? 'plain';
  }

  private partitionOf(slot: number): PartitionIndex {
    return this.partitions[this.partitionIds[slot]!]!;
  }

  /** The slot, if its value needs no further check; -1 otherwise. For a key without an entry it is `NO_SLOT`. */
  private ready(slot: number, { outdatedUpTo }: PartitionIndex, nowMs: number): number {
    return nowMs < this.readyUntilMs[slot]! && this.sequences[slot]! > outdatedUpTo ? slot : -1;
  }
}

function flagsOf({ form, isTree }: StoredValue): number {
  return FORM_FLAGS[form] | (isTree === true ? IS_TREE : 0);
}
