import { hasInternalSlots, isPrototypeExtended } from './kinds.js';

/*
 * Estimates the heap size of a value, by the layouts of V8 (64 bit, pointers not compressed). V8 has no API for it. The
 * constants are measured by `bench/memory/heap-per-entry.mjs`, which fails when they are wrong.
 *
 * Some memory is shared by many values, and V8 does not reveal which. Objects with the same property names share one
 * hidden class and the names themselves; an object that is used as a dictionary, with names that no other object has,
 * needs both alone, several times the size of its slots. `JSON.parse` and the compiler keep one copy of equal short
 * texts. So the first object of a shape counts as a dictionary, the first text of its kind as a text of its own, and
 * later ones do not ({@link isMet}).
 */

/** The result of a walk over a value. */
interface Measure {
  /** Estimated heap in bytes; for a buffer, the bytes that are visible through it. */
  readonly bytes: number;
  /** Bytes that buffers keep alive in addition: the rest of the memory behind a view. */
  readonly hiddenBytes: number;
  /**
   * Whether it contains an object that can be changed although it is frozen: a Map, Set, Date, Buffer, typed array,
   * URL, URLSearchParams, RegExp.
   */
  readonly unfreezable: boolean;
  /** Whether no object in it is met twice. */
  readonly isTree: boolean;
  /** Every object in the value, itself included. */
  readonly objects: ReadonlySet<object>;
}

const POINTER_BYTES = 8;
const OBJECT_BYTES = 24;
/** `{}` is created with space for four properties. */
const EMPTY_OBJECT_BYTES = 56;
const ARRAY_BYTES = 32;
const LIST_BYTES = 16;
const STRING_BYTES = 16;
const HEAP_NUMBER_BYTES = 16;
const TABLE_BYTES = 72;
const MAP_SLOT_BYTES = 28;
const SET_SLOT_BYTES = 20;
const BUFFER_BYTES = 200;
const DATE_BYTES = 96;
const URL_BYTES = 200;
const OPAQUE_BYTES = 160;
/** A hidden class that no other object shares, and its table of properties. */
const CLASS_BYTES = 104;
const DESCRIPTOR_BYTES = 24;
/** Objects with more properties than this keep them in a hash table. */
const MAX_FAST_PROPERTIES = 1020;
const DICTIONARY_BYTES = 72;
const DICTIONARY_SLOT_BYTES = 24;
const DIGIT_0 = 48;
const DIGIT_9 = 57;

/** `JSON.parse` and the compiler keep one copy of equal texts up to this length. */
const SHARED_TEXT_LENGTH = 10;
/**
 * The hashes of shapes and of short texts that were met recently. There is one table of each for the process, because V8
 * shares hidden classes and short texts across the process. Their lengths are powers of two: places are found by masking.
 */
const shapes = new Int32Array(4096);
const texts = new Int32Array(1024);

/** Walks over `value`, visiting each object once, cycles and shared parts included, without recursion. */
export function measureValue(value: unknown): Measure {
  const walk = new Walk();
  walk.count(value);
  walk.run();
  return walk;
}

class Walk implements Measure {
  bytes = 0;
  hiddenBytes = 0;
  unfreezable = false;
  isTree = true;
  readonly objects = new Set<object>();
  private readonly waiting: object[] = [];

  count(part: unknown): void {
    if (typeof part !== 'object' || part === null) {
      this.bytes += primitiveBytes(part);
    } else if (!this.objects.has(part)) {
      this.objects.add(part);
      this.waiting.push(part);
    } else {
      this.isTree = false;
    }
  }

  run(): void {
    for (let part = this.waiting.pop(); part !== undefined; part = this.waiting.pop()) {
      if (Array.isArray(part)) {
        this.countArray(part);
      } else if (Object.getPrototypeOf(part) === Object.prototype) {
        this.countRecord(part as Record<string, unknown>, Object.keys(part));
      } else {
        this.countRare(part);
      }
    }
  }

  private countArray(array: readonly unknown[]): void {
    const { length } = array;
    this.bytes += arrayBytes(length);
    for (let index = 0; index < length; index++) {
      this.count(array[index]);
    }
  }

  private countRecord(record: Record<string, unknown>, names: readonly string[]): void {
    this.bytes += objectBytes(record, names.length, names[0] ?? '', names.at(-1) ?? '');
    for (const name of names) {
      this.count(record[name]);
    }
  }

  private countRare(part: object): void {
    if (part instanceof Map) {
      this.unfreezable = true;
      this.bytes += TABLE_BYTES + roomFor(part.size) * MAP_SLOT_BYTES;
      for (const [key, held] of part) {
        this.count(key);
        this.count(held);
      }
    } else if (part instanceof Set) {
      this.unfreezable = true;
      this.bytes += TABLE_BYTES + roomFor(part.size) * SET_SLOT_BYTES;
      part.forEach((held) => this.count(held));
    } else if (ArrayBuffer.isView(part)) {
      this.unfreezable = true;
      this.bytes += BUFFER_BYTES + part.byteLength;
      if (!this.objects.has(part.buffer)) {
        this.objects.add(part.buffer);
        this.hiddenBytes += part.buffer.byteLength - part.byteLength;
      } else {
        this.isTree = false;
      }
    } else if (part instanceof ArrayBuffer) {
      this.unfreezable = true;
      this.bytes += BUFFER_BYTES + part.byteLength;
    } else if (hasInternalSlots(part)) {
      this.unfreezable = true;
      this.bytes += opaqueBytes(part);
    } else {
      // The standard properties of an error (`cause`, `errors`, ...) are not enumerable.
      const names = part instanceof Error ? Object.getOwnPropertyNames(part) : Object.keys(part);
      this.countRecord(part as Record<string, unknown>, names);
    }
  }
}

function opaqueBytes(value: Date | URL | URLSearchParams | RegExp): number {
  if (value instanceof Date) {
    return DATE_BYTES;
  }
  return value instanceof RegExp ? OPAQUE_BYTES : URL_BYTES + textBytes(String(value));
}

/** Heap of an array without its elements. */
function arrayBytes(length: number): number {
  return ARRAY_BYTES + (length === 0 ? 0 : LIST_BYTES + length * POINTER_BYTES);
}

/**
 * Heap of an object without the values of its properties.
 * @param first the first of its property names, and `last` the last one: as a rule the others need not be listed
 */
function objectBytes(object: object, length: number, first: string, last: string): number {
  if (length === 0) {
    return EMPTY_OBJECT_BYTES;
  }
  const isKnown = isMet(shapes, hashOf(last, hashOf(first, length)));
  if (isIndex(first)) {
    return OBJECT_BYTES + indexedBytes(Object.keys(object));
  }
  const slotsBytes = OBJECT_BYTES + length * POINTER_BYTES;
  if (isKnown) {
    return slotsBytes;
  }
  const namesBytes = Object.keys(object).reduce((sum, name) => sum + textBytes(name), 0);
  return length > MAX_FAST_PROPERTIES
    ? OBJECT_BYTES + hashTableBytes(length) + namesBytes
    : // The last term: what V8 leaves behind on the way to a class with so many properties, as measured.
      slotsBytes + CLASS_BYTES + length * (DESCRIPTOR_BYTES + Math.min(0.6 * length, 75)) + namesBytes;
}

/** Heap of properties of which the first ones have numbers for names: these are in a list, holes included. */
function indexedBytes(names: readonly string[]): number {
  const indexes = names.filter(isIndex);
  const listBytes = LIST_BYTES + (Number(indexes.at(-1)) + 1) * POINTER_BYTES;
  const tableBytes = hashTableBytes(indexes.length); // in place of a list that would be mostly holes
  return (listBytes <= tableBytes * 3 ? listBytes : tableBytes) + (names.length - indexes.length) * POINTER_BYTES;
}

function isIndex(name: string): boolean {
  const code = name.charCodeAt(0);
  return code >= DIGIT_0 && code <= DIGIT_9 && String(Number(name)) === name;
}

function hashTableBytes(count: number): number {
  return DICTIONARY_BYTES + powerOfTwo(count * 1.5) * DICTIONARY_SLOT_BYTES;
}

function hashOf(text: string, seed: number): number {
  let hash = seed;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash;
}

/** Whether a shape or text with this hash was met recently; from now on it is. */
function isMet(met: Int32Array, hash: number): boolean {
  const place = (hash ^ (hash >>> 15)) & (met.length - 1);
  const isKnown = met[place] === hash;
  met[place] = hash;
  return isKnown;
}

/** The capacity of a Map or Set with this many entries. */
function roomFor(count: number): number {
  return Math.max(4, powerOfTwo(count));
}

function powerOfTwo(atLeast: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, atLeast)));
}

/** Heap of a primitive beyond the slot that holds it. */
export function primitiveBytes(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return isSharedText(value) ? 0 : textBytes(value);
    case 'number':
      return (value | 0) === value && !Object.is(value, -0) ? 0 : HEAP_NUMBER_BYTES;
    case 'bigint':
      return HEAP_NUMBER_BYTES + roundUp(value.toString(16).length / 2);
    default:
      return 0;
  }
}

/** Whether this text is probably shared with other values. */
function isSharedText(text: string): boolean {
  return text.length < 2 || (text.length <= SHARED_TEXT_LENGTH && isMet(texts, hashOf(text, text.length)));
}

/** Heap of a text that is not shared. */
export function textBytes(text: string, wide = isWide(text)): number {
  return STRING_BYTES + roundUp(text.length * (wide ? 2 : 1));
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / POINTER_BYTES) * POINTER_BYTES;
}

const BEYOND_LATIN1 = /[\u0100-\uffff]/;

/** Whether a text takes two bytes per character. */
function isWide(text: string): boolean {
  return BEYOND_LATIN1.test(text);
}

/** What {@link prepareTree} does besides measuring, and what is known about the tree. */
interface TreeOptions {
  /** Whether its texts get memory of their own: see {@link flatText}. */
  readonly flattens: boolean;
  readonly freezes: boolean;
  /** Whether every text in it is ASCII: then no text has to be checked. */
  readonly isAscii: boolean;
}

/** {@link TreeOptions} as bits, because they are passed along for every value in the tree. */
const FLATTENS = 1;
const FREEZES = 2;
const IS_ASCII = 4;
/** `Object.prototype` was extended: every object seems to have the added properties. */
const IS_EXTENDED = 8;

/**
 * Prepares plain data for L1 in place, in one walk without bookkeeping. It is for values that JSON keeps entirely: plain
 * objects and arrays, each met once, with no accessor among their properties and no more than 200 deep. No caller has
 * them yet.
 * @returns the estimated heap in bytes
 */
export function prepareTree(value: object, { flattens, freezes, isAscii }: TreeOptions): number {
  const flags =
    (flattens ? FLATTENS : 0) |
    (freezes ? FREEZES : 0) |
    (isAscii ? IS_ASCII : 0) |
    (isPrototypeExtended() ? IS_EXTENDED : 0);
  return prepareObject(value, flags);
}

function prepareObject(value: object, flags: number): number {
  const bytes = Array.isArray(value)
    ? prepareArray(value, flags)
    : prepareRecord(value as Record<string, unknown>, flags);
  if ((flags & FREEZES) !== 0) {
    Object.freeze(value);
  }
  return bytes;
}

function prepareArray(array: unknown[], flags: number): number {
  let bytes = arrayBytes(array.length);
  for (let index = 0; index < array.length; index++) {
    bytes += preparePart(array, index, array[index], flags);
  }
  return bytes;
}

function prepareRecord(record: Record<string, unknown>, flags: number): number {
  let [bytes, count, first, last] = [0, 0, '', ''];
  for (const name in record) {
    if ((flags & IS_EXTENDED) !== 0 && !Object.hasOwn(record, name)) {
      continue;
    }
    if (count++ === 0) {
      first = name;
    }
    last = name;
    bytes += preparePart(record, name, record[name], flags);
  }
  return bytes + objectBytes(record, count, first, last);
}

function preparePart<Key extends string | number>(
  holder: Record<Key, unknown>,
  key: Key,
  part: unknown,
  flags: number,
): number {
  if (typeof part !== 'string') {
    return typeof part === 'object' && part !== null ? prepareObject(part, flags) : primitiveBytes(part);
  }
  const wide = (flags & IS_ASCII) === 0 && isWide(part);
  if ((flags & FLATTENS) !== 0) {
    holder[key] = flatText(part, wide);
  }
  return isSharedText(part) ? 0 : textBytes(part, wide);
}

/** From this length on, V8 makes a substring without copying. */
const MIN_SLICE_LENGTH = 13;
/** The buffer through which texts are copied, one after the other. */
const scratch = Buffer.allocUnsafeSlow(16 * 1024);

/**
 * The same text, in memory of its own. A substring of a long text (`slice`, `split`, a match) keeps all of that text
 * alive: a cached title of 50 characters would hold the page of 1 MB from which it was cut. It is impossible to find
 * out whether a text is such a substring; a copy costs less than writing it as JSON.
 */
export function flatText(text: string, wide = isWide(text)): string {
  if (text.length < MIN_SLICE_LENGTH) {
    return text;
  }
  return wide || text.length > scratch.length
    ? [text.slice(0, -1), text.slice(-1)].join('')
    : scratch.toString('latin1', 0, scratch.write(text, 'latin1')); // a fifth of the cost of joining
}

/**
 * Replaces the texts in plain objects and arrays by equal ones with memory of their own; the difference can't be
 * observed. An accessor, or a frozen property, stays as it is.
 */
export function flattenTexts(objects: Iterable<object>): void {
  for (const object of objects) {
    if (Array.isArray(object) || Object.getPrototypeOf(object) === Object.prototype) {
      const record = object as Record<string, unknown>;
      for (const name of Object.keys(record)) {
        const text = record[name];
        const isLong = typeof text === 'string' && text.length >= MIN_SLICE_LENGTH;
        if (isLong && Object.getOwnPropertyDescriptor(record, name)?.writable === true) {
          record[name] = flatText(text);
        }
      }
    }
  }
}
