import { SeenObjects } from './seen-objects.js';
import { MAX_DEPTH } from './value-inspector.js';
import { hasToJson, isRecord } from './value-kinds.js';

/**
 * Whether `JSON.stringify` keeps everything that can be read of a value, as far as a quick check can say: nothing but
 * plain objects and arrays, each met once and not nested too deep, texts, booleans, null, and the numbers that JSON
 * has. `false` may mean that the full check (`inspectValue`) is needed. That check also finds accessors and symbols,
 * which take three quarters of its time; when the value is kept as text they can't be observed.
 */
export function isPlainJson(value: unknown): boolean {
  return !isPrototypeExtended() && isPlain(value, 0, new SeenObjects());
}

const BARE = {};

/** Whether `Object.prototype` has been extended: then every object seems to have the added properties. */
function isPrototypeExtended(): boolean {
  for (const _name in BARE) {
    return true;
  }
  return false;
}

function isPlain(value: unknown, depth: number, seen: SeenObjects): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && (value !== 0 || 1 / value > 0);
    case 'object':
      return !isRecord(value) || (depth < MAX_DEPTH && seen.add(value) && isPlainObject(value, depth + 1, seen));
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
  for (const name in object) {
    if (name === '__proto__' || !isPlain(object[name], depth, seen)) {
      return false;
    }
  }
  return true;
}

/**
 * Whether an array holds only plain JSON. A match of a regular expression is an array with properties, which JSON
 * drops.
 */
function isPlainArray(array: readonly unknown[], depth: number, seen: SeenObjects): boolean {
  if ('groups' in array) {
    return false;
  }
  for (let index = 0; index < array.length; index++) {
    if (!isPlain(array[index], depth, seen)) {
      return false;
    }
  }
  return true;
}
