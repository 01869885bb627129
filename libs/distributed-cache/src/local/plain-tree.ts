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
  const { length } = array;
  let bytes = arrayBytes(length);
  const isFixed = Object.isFrozen(array);
  for (let index = 0; index < length; index++) {
    const element = array[index];
    if (typeof element === 'string') {
      const wide = isWide(element);
      bytes += isSharedText(element) ? 0 : textBytes(element, wide);
      if (care.flattens && !isFixed) {
        overwrite(array, index, flatText(element, wide));
      }
    } else {
      bytes += typeof element === 'object' && element !== null ? readyTree(element, care) : primitiveBytes(element);
    }
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
    const property = record[name];
    if (typeof property === 'string') {
      const wide = isWide(property);
      bytes += isSharedText(property) ? 0 : textBytes(property, wide);
      if (care.flattens && !isFixed) {
        overwrite(record, name, flatText(property, wide));
      }
    } else {
      bytes += typeof property === 'object' && property !== null ? readyTree(property, care) : primitiveBytes(property);
    }
  }
  if (care.freezes && !isFixed) {
    Object.freeze(record);
  }
  return bytes + shapeBytes(record, count, first, last);
}

function overwrite<Key extends string | number>(object: Record<Key, unknown>, key: Key, text: string): void {
  try {
    object[key] = text;
  } catch {
    // nobody may write it: it stays as it is, and nobody can see the difference
  }
}
