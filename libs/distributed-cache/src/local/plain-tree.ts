import { flatText, isWide } from './flat-text.js';
import { arrayBytes, isSharedText, primitiveBytes, shapeBytes, textBytes } from './measure-value.js';

/** What is done to a tree besides measuring it. */
export interface TreeCare {
  /** Gives its texts memory of their own: see `flatText`. */
  readonly flattens: boolean;
  readonly freezes: boolean;
}

/**
 * Readies plain data for L1 in one walk, with nothing to remember: for what JSON keeps all of, that is plain objects and arrays, each met
 * once, with no accessor among their properties and no more than 200 deep. @returns its estimated heap in bytes
 */
export function readyTree(value: object, care: TreeCare): number {
  return Array.isArray(value) ? readyArray(value, care) : readyRecord(value as Record<string, unknown>, care);
}

function readyArray(array: unknown[], care: TreeCare): number {
  let bytes = arrayBytes(array.length);
  const isFixed = Object.isFrozen(array);
  for (let index = 0; index < array.length; index++) {
    bytes += readyPart(array, index, array[index], care, isFixed);
  }
  if (care.freezes && !isFixed) {
    Object.freeze(array);
  }
  return bytes;
}

function readyRecord(record: Record<string, unknown>, care: TreeCare): number {
  let [bytes, count, first, last] = [0, 0, '', ''];
  const isFixed = Object.isFrozen(record);
  for (const name in record) {
    if (!Object.hasOwn(record, name)) {
      continue; // somebody extended Object.prototype
    }
    if (count++ === 0) {
      first = name;
    }
    last = name;
    bytes += readyPart(record, name, record[name], care, isFixed);
  }
  if (care.freezes && !isFixed) {
    Object.freeze(record);
  }
  return bytes + shapeBytes(record, count, first, last);
}

/** @param isFixed whether nothing in its holder can be replaced */
function readyPart<Key extends string | number>(
  holder: Record<Key, unknown>,
  key: Key,
  part: unknown,
  care: TreeCare,
  isFixed: boolean,
): number {
  if (typeof part !== 'string') {
    return typeof part === 'object' && part !== null ? readyTree(part, care) : primitiveBytes(part);
  }
  const wide = isWide(part);
  if (care.flattens && !isFixed) {
    overwrite(holder, key, flatText(part, wide));
  }
  return isSharedText(part) ? 0 : textBytes(part, wide);
}

function overwrite<Key extends string | number>(object: Record<Key, unknown>, key: Key, text: string): void {
  try {
    object[key] = text;
  } catch {
    // nobody may write it: it stays as it is, and nobody can see the difference
  }
}
