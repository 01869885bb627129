import { inspect } from 'node:util';
import { hasToJson, isPrototypeExtended, isObject } from './kinds.js';
import { CorruptEntryError } from '../errors/index.js';

/** Deepest nesting of containers that is written, and that is accepted when it is read. */
export const MAX_DEPTH = 200;

/**
 * Whether `JSON.stringify` keeps everything that can be read of a value, as far as a quick check can say: nothing but
 * plain objects and arrays, each met once and not nested too deep, texts, booleans, null, and the numbers that JSON
 * has. `false` may mean that the full check (`inspectValue`) is needed. That check also finds accessors, which take half
 * of its time; when the value is kept as text they can't be observed.
 */
export function isPlainJson(value: unknown): boolean {
  return !isPrototypeExtended() && isPlain(value, 0, new SeenObjects());
}

function isPlain(value: unknown, depth: number, seen: SeenObjects): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && (value !== 0 || 1 / value > 0);
    case 'object':
      return !isObject(value) || (depth < MAX_DEPTH && seen.add(value) && isPlainObject(value, depth + 1, seen));
    default:
      return false;
  }
}

function isPlainObject(object: Record<string, unknown>, depth: number, seen: SeenObjects): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (hasToJson(object)) {
    return false;
  }
  if (prototype === Array.prototype) {
    return Array.isArray(object) && isPlainArray(object, depth, seen);
  }
  if (prototype !== Object.prototype) {
    return false;
  }
  let count = 0;
  for (const name in object) {
    if (name === '__proto__' || !isPlain(object[name], depth, seen)) {
      return false;
    }
    count++;
  }
  return Object.getOwnPropertyNames(object).length === count && Object.getOwnPropertySymbols(object).length === 0;
}

/** Whether an array holds only plain JSON, and no named properties, which JSON drops. */
function isPlainArray(array: readonly unknown[], depth: number, seen: SeenObjects): boolean {
  if (hasNamedProperties(array)) {
    return false;
  }
  for (let index = 0; index < array.length; index++) {
    if (!isPlain(array[index], depth, seen)) {
      return false;
    }
  }
  return true;
}

/** From this length on, `inspect` without the elements takes less time than a list of all keys. */
const LONG = 1024;
const WITHOUT_ELEMENTS = {
  maxArrayLength: 0,
  maxStringLength: 0,
  depth: 0,
  customInspect: false,
  breakLength: Infinity,
};
const NO_NAMES = /^\[ \.\.\. \d+ more items \]$/;

/**
 * Whether an array has properties besides its elements, such as a match of a regular expression, or the texts of a
 * template. Integer keys come first, so the last key decides.
 */
export function hasNamedProperties(array: readonly unknown[]): boolean {
  if (array.length >= LONG && NO_NAMES.test(inspect(array, WITHOUT_ELEMENTS))) {
    return false;
  }
  const last = Object.keys(array).at(-1);
  return (last !== undefined && String(Number(last) >>> 0) !== last) || Object.hasOwn(array, 'raw');
}

/** From this number on, a hash costs less than a search through a list. */
const MANY = 16;

/** The objects that a walk has met. Most values have few, for which a `Set` would be most of the cost of the walk. */
export class SeenObjects {
  private readonly few: object[] = [];
  private many: Set<object> | undefined;

  /** Adds an object. @returns whether it was not there before */
  add(object: object): boolean {
    const { few, many } = this;
    if (many !== undefined) {
      const before = many.size;
      return many.add(object).size > before;
    }
    for (const seen of few) {
      if (seen === object) {
        return false;
      }
    }
    few.push(object);
    if (few.length === MANY) {
      this.many = new Set(few);
    }
    return true;
  }
}

/**
 * Parses JSON from an unknown source. `JSON.parse` itself accepts two things that do harm later: nesting deep enough to
 * overflow the stack of code that walks the value, and an own `__proto__`, which is harmless until the object is copied
 * property by property. The first is refused, the second dropped.
 * @throws CorruptEntryError
 */
export function parseJsonText(text: string): unknown {
  const value = parse(text);
  if (!tidyJson(value)) {
    throw new CorruptEntryError(`its value is nested more than ${MAX_DEPTH} levels deep`);
  }
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CorruptEntryError('its value is not JSON'); // the parser's own message quotes the text
  }
}

/**
 * Drops every own `__proto__` from a result of `JSON.parse`. A search for the name in the text would be cheaper and
 * wrong: `"\u005f_proto__"` is the same key.
 * @returns false when more than `levels` levels are nested
 */
function tidyJson(value: unknown, levels = MAX_DEPTH): boolean {
  if (!isObject(value)) {
    return true;
  }
  if (levels === 0) {
    return false;
  }
  if (Array.isArray(value)) {
    for (const element of value) {
      if (typeof element === 'object' && !tidyJson(element, levels - 1)) {
        return false;
      }
    }
    return true;
  }
  for (const key in value) {
    const property = value[key];
    if (key === '__proto__') {
      Reflect.deleteProperty(value, key);
    } else if (typeof property === 'object' && !tidyJson(property, levels - 1)) {
      return false;
    }
  }
  return true;
}
