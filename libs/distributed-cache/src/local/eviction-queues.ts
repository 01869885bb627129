import { MAIN, SlotTable, SMALL } from './slot-table.js';

/** The part of the bytes that new entries may take before the oldest of them must prove its use. */
const SMALL_SHARE = 0.4;

/**
 * Decides which entry leaves L1 when it is full, by S3-FIFO (Yang et al., FIFO queues are all you need for cache
 * eviction, SOSP 2023). A new entry enters a small queue. At the end of it an entry that was hit moves to the main queue,
 * and one that was not leaves: so a scan of keys that are read once passes through the small queue, and the entries in
 * use stay. At the end of the main queue an entry that was hit since begins another round. A key that left the small
 * queue a short time ago enters the main queue when it returns.
 *
 * A hit changes no order, it is only counted. The paper has a small queue of a tenth and up to three more rounds;
 * docs/internals.md has the hit ratios of both, and of other policies.
 */
export abstract class EvictionQueues extends SlotTable {
  usedBytes = 0;
  count = 0;
  private smallBytes = 0;

  constructor(
    readonly maxBytes: number,
    readonly maxEntries: number,
  ) {
    super();
  }

  protected abstract evictSlot(slot: number): void;

  /**
   * Evicts entries until the store is within its limits.
   * @param newBytes the size of an entry that is stored next, and may not be chosen itself
   */
  protected evict(newBytes = 0): void {
    const maxEntries = this.maxEntries - (newBytes > 0 ? 1 : 0);
    while (this.usedBytes + newBytes > this.maxBytes || this.count > maxEntries) {
      this.evictSlot(this.nextVictim());
    }
  }

  /** Appends a new entry to its queue. @param before the slot of the entry that it replaces, which has left its queue */
  protected enqueue(slot: number, before: number | undefined): void {
    this.usesSeen[slot] = before === undefined ? 0 : this.usesSeen[before]!;
    const isMain = before === undefined ? this.isRemembered(slot) : this.queues[before] === MAIN;
    this.append(isMain ? MAIN : SMALL, slot);
  }

  protected dequeue(slot: number): void {
    const before = this.before[slot]!;
    const after = this.after[slot]!;
    this.after[before] = after;
    this.before[after] = before;
    this.smallBytes -= this.queues[slot] === SMALL ? this.bytes[slot]! : 0;
  }

  /** The size of an entry changes. */
  protected grow(slot: number, bytes: number): void {
    this.bytes[slot]! += bytes;
    this.smallBytes += this.queues[slot] === SMALL ? bytes : 0;
  }

  /** The slot of the entry that leaves next. There must be one. */
  private nextVictim(): number {
    for (;;) {
      const isSmall = this.smallBytes > this.usedBytes * SMALL_SHARE || this.after[MAIN] === MAIN;
      const slot = this.after[isSmall ? SMALL : MAIN]!;
      const uses = this.uses[slot]!;
      if (uses === this.usesSeen[slot]) {
        if (isSmall) {
          this.remember(slot);
        }
        return slot;
      }
      this.dequeue(slot);
      this.usesSeen[slot] = uses;
      this.append(MAIN, slot);
    }
  }

  private append(queue: number, slot: number): void {
    const last = this.before[queue]!;
    this.after[last] = slot;
    this.before[slot] = last;
    this.after[slot] = queue;
    this.before[queue] = slot;
    this.queues[slot] = queue;
    this.smallBytes += queue === SMALL ? this.bytes[slot]! : 0;
  }

  /** Remembers the key of an entry that leaves, in the place of another one that has left before. */
  private remember(slot: number): void {
    const print = this.printOf(slot);
    this.ghosts[print % this.ghosts.length] = print;
  }

  private isRemembered(slot: number): boolean {
    const print = this.printOf(slot);
    const place = print % this.ghosts.length;
    const isThere = this.ghosts[place] === print;
    if (isThere) {
      this.ghosts[place] = 0;
    }
    return isThere;
  }

  /** A fingerprint of the key and its partition (FNV-1a, 32 bits). */
  private printOf(slot: number): number {
    const key = this.keys[slot]!;
    let hash = 0x811c9dc5 ^ this.partitionIds[slot]!;
    for (let at = 0; at < key.length; at++) {
      hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
    }
    return hash >>> 0;
  }
}
