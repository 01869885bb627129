import type { LocalMark } from './local-entry.js';
import type { CopyInstance } from '../values/index.js';

export const FIRST_CAPACITY = 256;
/**
 * The factor by which the columns grow. Free capacity takes memory as well: at this factor it is a fifth at most, and
 * each entry is moved four times on average.
 */
const GROWTH = 1.25;
/** V8 makes a dictionary of an array that is longer than this when it is created. */
const LONGEST_MADE_ARRAY = 32 * 1024 * 1024;

/**
 * The facts about entries in columns, one per fact, so that an entry takes no object and no boxed number. Points in
 * time are doubles; durations are floats, exact up to four hours, to a few milliseconds in a day, to a second in a
 * year. All columns have the same length.
 */
export abstract class EntryColumns {
  protected values = emptyArray<unknown>(FIRST_CAPACITY);
  protected keys = emptyArray<string | undefined>(FIRST_CAPACITY);
  protected readonly marks = new Map<number, readonly LocalMark[]>();
  protected readonly copyInstances = new Map<number, CopyInstance>();
  protected roomIds = new Uint32Array(FIRST_CAPACITY);
  protected storedAtMs = new Float64Array(FIRST_CAPACITY);
  protected expiresAtMs = new Float64Array(FIRST_CAPACITY);
  /** Until this time the value may be returned as it is, without further checks; `NaN`: never. */
  protected readyUntilMs = new Float64Array(FIRST_CAPACITY);
  protected graceMs = new Float32Array(FIRST_CAPACITY);
  protected lifeMs = new Float32Array(FIRST_CAPACITY);
  protected loadMs = new Float32Array(FIRST_CAPACITY);
  protected bytes = new Uint32Array(FIRST_CAPACITY);
  protected stamps = new Float64Array(FIRST_CAPACITY);
  protected flags = new Uint8Array(FIRST_CAPACITY);
  protected before = new Int32Array(FIRST_CAPACITY);
  protected after = new Int32Array(FIRST_CAPACITY);

  protected get capacity(): number {
    return this.flags.length;
  }

  protected grow(): void {
    this.resize(Math.ceil(this.capacity * GROWTH));
  }

  protected resize(capacity: number): void {
    this.values = resizedArray(this.values, capacity);
    this.keys = resizedArray(this.keys, capacity);
    this.roomIds = resized(this.roomIds, new Uint32Array(capacity));
    this.storedAtMs = resized(this.storedAtMs, new Float64Array(capacity));
    this.expiresAtMs = resized(this.expiresAtMs, new Float64Array(capacity));
    this.readyUntilMs = resized(this.readyUntilMs, new Float64Array(capacity));
    this.graceMs = resized(this.graceMs, new Float32Array(capacity));
    this.lifeMs = resized(this.lifeMs, new Float32Array(capacity));
    this.loadMs = resized(this.loadMs, new Float32Array(capacity));
    this.bytes = resized(this.bytes, new Uint32Array(capacity));
    this.stamps = resized(this.stamps, new Float64Array(capacity));
    this.flags = resized(this.flags, new Uint8Array(capacity));
    this.before = resized(this.before, new Int32Array(capacity));
    this.after = resized(this.after, new Int32Array(capacity));
  }
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
  if (capacity > LONGEST_MADE_ARRAY) {
    return from;
  }
  const to = emptyArray<Item>(capacity);
  for (let slot = Math.min(from.length, capacity) - 1; slot >= 0; slot--) {
    to[slot] = from[slot] as Item;
  }
  return to;
}
