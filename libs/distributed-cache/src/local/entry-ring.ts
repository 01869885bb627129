import { EntryColumns, FIRST_CAPACITY } from './entry-columns.js';

/**
 * Slot 0 belongs to the ring itself: the slot after it is the least recently used entry, the slot before it the most
 * recently used one.
 */
const RING = 0;

/** The order of use of the entries (LRU): the slots in use form a ring in that order, and the free slots a list. */
export abstract class EntryRing extends EntryColumns {
  /** The end of the slots that were ever in use; free slots are used again first. */
  private end = 1;
  /** The first free slot; `after` leads to the next one, and `RING` ends the list. */
  private free = RING;

  /** The slot after the last one, for a walk over all slots. */
  get slotsEnd(): number {
    return this.end;
  }

  protected get longestUnused(): number {
    return this.after[RING]!;
  }

  protected take(): number {
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

  protected giveBack(slot: number): void {
    this.after[slot] = this.free;
    this.free = slot;
  }

  /** Releases the columns of an empty store: they would keep the size that they had at their largest. */
  protected shrink(): void {
    if (this.capacity > FIRST_CAPACITY) {
      this.end = 1;
      this.free = RING;
      this.resize(FIRST_CAPACITY);
      this.before[RING] = RING;
      this.after[RING] = RING;
    }
  }

  /**
   * Moves a slot to the place of the most recently used one. It is one short function: it is part of every hit, and V8
   * inlines only a limited amount of code.
   */
  protected use(slot: number): void {
    const { before, after } = this;
    const last = before[RING]!;
    if (last !== slot) {
      const previous = before[slot]!;
      const next = after[slot]!;
      after[previous] = next;
      before[next] = previous;
      after[last] = slot;
      before[slot] = last;
      after[slot] = RING;
      before[RING] = slot;
    }
  }

  protected append(slot: number): void {
    const last = this.before[RING]!;
    this.after[last] = slot;
    this.before[slot] = last;
    this.after[slot] = RING;
    this.before[RING] = slot;
  }

  protected unlink(slot: number): void {
    const before = this.before[slot]!;
    const after = this.after[slot]!;
    this.after[before] = after;
    this.before[after] = before;
  }
}
