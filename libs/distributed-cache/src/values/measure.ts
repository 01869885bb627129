import { hasInternalSlots } from './kinds.js';

/** The size of the table of hashes. It is a power of two: indexes are found by masking. */
const PLACES = 4096;
const SHORT_TEXTS = 1024;
/** `JSON.parse` and the compiler keep one copy of equal texts up to this length. */
const SHARED_TEXT_LENGTH = 10;

/**
 * Remembers which shapes of objects and which short texts were met recently. Objects with the same property names share
 * one hidden class and the names themselves. An object that is used as a dictionary, with names that no other object
 * has, needs both alone, several times the size of its slots. V8 does not reveal which is which: so the first object of
 * a shape counts as a dictionary, and later ones do not. The memory holds hashes and short texts, and has a constant
 * size.
 */
class ShapeMemory {
  private readonly hashes = new Int32Array(PLACES);
  private readonly texts = Array.from({ length: SHORT_TEXTS }, () => '');
  private lastFirst = '';
  private lastLast = '';
  private lastCount = -1;

  /**
   * Whether an object with this many names, and these first and last ones, has been met. In a list of records the
   * previous one was the same.
   */
  isKnown(length: number, first: string, last: string): boolean {
    if (length === this.lastCount && first === this.lastFirst && last === this.lastLast) {
      return true;
    }
    this.lastCount = length;
    this.lastFirst = first;
    this.lastLast = last;
    const hash = (hashOf(last, hashOf(first, length)) | 1) >> 0;
    const place = (hash ^ (hash >>> 15)) & (PLACES - 1);
    if (this.hashes[place] === hash) {
      return true;
    }
    this.hashes[place] = hash;
    return false;
  }

  /** Whether a short text has been met. */
  isKnownText(text: string): boolean {
    const { length } = text;
    const mixed =
      text.charCodeAt(0) * 31 + text.charCodeAt(length - 1) * 7 + text.charCodeAt(length >> 1) * 17 + length;
    const place = mixed & (SHORT_TEXTS - 1);
    if (this.texts[place] === text) {
      return true;
    }
    this.texts[place] = text;
    return false;
  }
}

function hashOf(text: string, seed: number): number {
  let hash = seed;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash;
}

/*
 * Estimates the heap size of a value, by the layouts of V8 (64 bit, pointers not compressed). V8 has no API for it. The
 * constants are measured by `bench/memory/heap-per-entry.mjs`, which fails when they are wrong.
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

const NO_OBJECTS: ReadonlySet<object> = new Set();

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
const MAX_FAST_PROPERTIES = 128;
const DICTIONARY_BYTES = 72;
const DICTIONARY_SLOT_BYTES = 24;
const DIGIT_0 = 48;
const DIGIT_9 = 57;

/** One for the process, because V8 shares hidden classes and short texts across the process. */
const shapes = new ShapeMemory();

/** Walks over `value`, visiting each object once, cycles and shared parts included, without recursion. */
export function measureValue(value: unknown): Measure {
  if (typeof value !== 'object' || value === null) {
    return { bytes: primitiveBytes(value), hiddenBytes: 0, unfreezable: false, isTree: true, objects: NO_OBJECTS };
  }
  const walk = new Walk();
  walk.count(value);
  walk.run();
  const { bytes, hiddenBytes, unfreezable, isTree, seen } = walk;
  return { bytes, hiddenBytes, unfreezable, isTree, objects: seen };
}

class Walk {
  bytes = 0;
  hiddenBytes = 0;
  unfreezable = false;
  isTree = true;
  readonly seen = new Set<object>();
  private readonly waiting: object[] = [];

  count(part: unknown): void {
    if (typeof part !== 'object' || part === null) {
      this.bytes += primitiveBytes(part);
    } else if (!this.seen.has(part)) {
      this.seen.add(part);
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
    this.bytes += propertiesBytes(names);
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
      if (!this.seen.has(part.buffer)) {
        this.seen.add(part.buffer);
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
export function arrayBytes(length: number): number {
  return ARRAY_BYTES + (length === 0 ? 0 : LIST_BYTES + length * POINTER_BYTES);
}

/** Heap of an object without the values of its properties. */
function propertiesBytes(names: readonly string[]): number {
  const { length } = names;
  const first = names[0] ?? '';
  const isKnown = length > 0 && shapes.isKnown(length, first, names.at(-1) ?? '');
  return isUsualShape(length, first, isKnown) ? usualShapeBytes(length) : rareShapeBytes(names, isKnown);
}

/**
 * Heap of an object without the values of its properties, by the number of its names and the first and last of them: as
 * a rule the names need not be listed.
 */
export function shapeBytes(object: object, length: number, first: string, last: string): number {
  const isKnown = length > 0 && shapes.isKnown(length, first, last);
  return isUsualShape(length, first, isKnown) ? usualShapeBytes(length) : rareShapeBytes(Object.keys(object), isKnown);
}

function isUsualShape(length: number, first: string, isKnown: boolean): boolean {
  return length === 0 || (isKnown && length <= MAX_FAST_PROPERTIES && !isIndex(first));
}

function usualShapeBytes(length: number): number {
  return length === 0 ? EMPTY_OBJECT_BYTES : OBJECT_BYTES + length * POINTER_BYTES;
}

function rareShapeBytes(names: readonly string[], isKnown: boolean): number {
  const { length } = names;
  if (isIndex(names[0] ?? '')) {
    return OBJECT_BYTES + indexedBytes(names);
  }
  if (length > MAX_FAST_PROPERTIES) {
    return OBJECT_BYTES + dictionaryBytes(length) + (isKnown ? 0 : namesBytes(names));
  }
  const slotsBytes = OBJECT_BYTES + length * POINTER_BYTES;
  // The square term: what V8 leaves behind on the way to a class with so many properties, as measured.
  const classBytes = CLASS_BYTES + length * DESCRIPTOR_BYTES + length * length * (0.6 + length / 230);
  return isKnown ? slotsBytes : slotsBytes + classBytes + namesBytes(names);
}

/**
 * Heap of properties with numbers for names. They come first, and are in a list of their own, holes included unless it
 * would be mostly holes.
 */
function indexedBytes(names: readonly string[]): number {
  let count = 0;
  while (count < names.length && isIndex(names[count] ?? '')) {
    count++;
  }
  const room = Number(names[count - 1]) + 1;
  const hashedRoom = powerOfTwo(count * 1.5);
  const listBytes =
    room <= hashedRoom * 9 ? LIST_BYTES + room * POINTER_BYTES : DICTIONARY_BYTES + hashedRoom * DICTIONARY_SLOT_BYTES;
  return listBytes + (names.length - count) * POINTER_BYTES;
}

function isIndex(name: string): boolean {
  const code = name.charCodeAt(0);
  return code >= DIGIT_0 && code <= DIGIT_9 && String(Number(name)) === name;
}

function dictionaryBytes(count: number): number {
  return DICTIONARY_BYTES + powerOfTwo(count * 1.5) * DICTIONARY_SLOT_BYTES;
}

function namesBytes(names: readonly string[]): number {
  let bytes = 0;
  for (const name of names) {
    bytes += textBytes(name);
  }
  return bytes;
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
export function isSharedText(text: string): boolean {
  return text.length < 2 || (text.length <= SHARED_TEXT_LENGTH && shapes.isKnownText(text));
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
export function isWide(text: string): boolean {
  return BEYOND_LATIN1.test(text);
}
