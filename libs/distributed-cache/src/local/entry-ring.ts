import { EntryColumns, FIRST_CAPACITY } from './entry-columns.js';

/** Slot 0 is the ring's own: behind it the entry longest unused, before it the one used last. */
const RING = 0;

/** The slots in use in one ring by use, and those that are free. */
export abstract class EntryRing extends EntryColumns {
  /** Slots handed out so far; those given back are used again first. */
  private end = 1;
  /** The first of those given back; `after` leads to the next one, `RING` ends them. */
  private free = RING;

  /** Where slots end, for who walks them. */
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

  /** Gives the columns of an empty store back: they would keep the size of its fullest hour. */
  protected shrink(): void {
    if (this.capacity > FIRST_CAPACITY) {
      this.end = 1;
      this.free = RING;
      this.resize(FIRST_CAPACITY);
      this.before[RING] = RING;
      this.after[RING] = RING;
    }
  }

  /** Puts it where the one used last is. In one go, with little code: it is part of every hit, and V8 puts only so much code into its caller. */
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
