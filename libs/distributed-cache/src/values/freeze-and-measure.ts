import { isPrototypeExtended } from './kinds.js';
import { arrayBytes, isSharedText, isWide, primitiveBytes, shapeBytes, textBytes } from './measure.js';

/** What the walk does with a tree besides measuring it, and what is known about the tree. */
interface TreeOptions {
  /** Whether its texts get memory of their own: see `flatText`. */
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
 * Prepares plain data for L1 in one walk without bookkeeping. It is for values that JSON keeps entirely: plain objects
 * and arrays, each met once, with no accessor among their properties and no more than 200 deep.
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

/** Freezes such data, and does nothing else. */
export function freezeTree(value: object): void {
  freezeObject(value, isPrototypeExtended());
}

function freezeObject(value: object, isExtended: boolean): void {
  if (Array.isArray(value)) {
    for (const element of value) {
      freezePart(element, isExtended);
    }
  } else {
    for (const name in value) {
      if (!isExtended || Object.hasOwn(value, name)) {
        freezePart((value as Record<string, unknown>)[name], isExtended);
      }
    }
  }
  Object.freeze(value);
}

function freezePart(part: unknown, isExtended: boolean): void {
  if (typeof part === 'object' && part !== null) {
    freezeObject(part, isExtended);
  }
}

function prepareObject(value: object, flags: number): number {
  return Array.isArray(value) ? prepareArray(value, flags) : prepareRecord(value as Record<string, unknown>, flags);
}

function prepareArray(array: unknown[], flags: number): number {
  let bytes = arrayBytes(array.length);
  const flattens = (flags & FLATTENS) !== 0 && !Object.isFrozen(array);
  for (let index = 0; index < array.length; index++) {
    bytes += preparePart(array, index, array[index], flags, flattens);
  }
  if ((flags & FREEZES) !== 0) {
    Object.freeze(array);
  }
  return bytes;
}

function prepareRecord(record: Record<string, unknown>, flags: number): number {
  let [bytes, count, first, last] = [0, 0, '', ''];
  const flattens = (flags & FLATTENS) !== 0 && !Object.isFrozen(record);
  for (const name in record) {
    if ((flags & IS_EXTENDED) !== 0 && !Object.hasOwn(record, name)) {
      continue;
    }
    if (count++ === 0) {
      first = name;
    }
    last = name;
    bytes += preparePart(record, name, record[name], flags, flattens);
  }
  if ((flags & FREEZES) !== 0) {
    Object.freeze(record);
  }
  return bytes + shapeBytes(record, count, first, last);
}

/** Prepares one part of the tree. @param flattens whether a text in its holder can be replaced, and is to be */
function preparePart<Key extends string | number>(
  holder: Record<Key, unknown>,
  key: Key,
  part: unknown,
  flags: number,
  flattens: boolean,
): number {
  if (typeof part !== 'string') {
    return typeof part === 'object' && part !== null ? prepareObject(part, flags) : primitiveBytes(part);
  }
  const wide = (flags & IS_ASCII) === 0 && isWide(part);
  if (flattens) {
    overwrite(holder, key, flatText(part, wide));
  }
  return isSharedText(part) ? 0 : textBytes(part, wide);
}

function overwrite<Key extends string | number>(object: Record<Key, unknown>, key: Key, text: string): void {
  try {
    object[key] = text;
  } catch {
    // the property is read-only: it stays as it is, and the difference can't be observed
  }
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
 * observed.
 */
export function flattenTexts(objects: Iterable<object>): void {
  for (const object of objects) {
    if (Array.isArray(object)) {
      flattenElements(object);
    } else if (Object.getPrototypeOf(object) === Object.prototype) {
      flattenProperties(object as Record<string, unknown>);
    }
  }
}

function flattenElements(array: unknown[]): void {
  let isWritable: boolean | undefined;
  for (let index = 0; index < array.length; index++) {
    const element = array[index];
    if (typeof element === 'string' && element.length >= MIN_SLICE_LENGTH) {
      isWritable ??= !Object.isFrozen(array);
      if (!isWritable) {
        return;
      }
      array[index] = flatText(element);
    }
  }
}

function flattenProperties(record: Record<string, unknown>): void {
  for (const name of Object.keys(record)) {
    const property = record[name];
    if (typeof property === 'string' && property.length >= MIN_SLICE_LENGTH) {
      // An accessor, or a frozen property, stays as it is.
      if (Object.getOwnPropertyDescriptor(record, name)?.writable !== true) {
        return;
      }
      record[name] = flatText(property);
    }
  }
}
