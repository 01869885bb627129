import { type CopyInstance, copyValue } from './copy.js';
import { isPrototypeExtended } from './kinds.js';

/** Deeper parts are copied without recursion. The codec accepts no value that is deeper than this. */
const MAX_LEVELS = 200;

/** A value that L1 keeps, and what is known about it. */
export interface KeptValue {
  readonly value: unknown;
  /** Whether no object in it is met twice. Default false: not known. */
  readonly isTree?: boolean;
  /** How an instance is copied. Default: by its properties. */
  readonly copyInstance?: CopyInstance | undefined;
}

/** A copy of a kept value for one reader. @param freezes whether the copy is frozen as far as possible */
export function copyKept({ value, isTree, copyInstance }: KeptValue, freezes: boolean): unknown {
  return isTree === true && !freezes
    ? copyTree(value as object, copyInstance)
    : copyValue(value, { copyInstance, freezes });
}

/**
 * A deep copy of a tree: a value in which no object is met twice. It is the copier of L1 hits, where `copyValue` would
 * take several times as long for its table of shared references. It looks for no accessors and symbols, because L1 keeps
 * only values that were inspected before, and no reader gets the object that L1 keeps.
 *
 * An object is cloned by spreading, for which V8 copies the hidden class together with the values; then its parts are
 * replaced. docs/internals.md compares other ways.
 */
export function copyTree(value: object, copyInstance?: CopyInstance): object {
  return copyPart(value, copyInstance, MAX_LEVELS);
}

/**
 * The copy of a tree that L1 keeps. It builds each object anew, property by property, because `copyTree` copies such an
 * object in half the time that it needs for one made by a literal, by spreading or by `JSON.parse`.
 * @param value a tree of plain objects and arrays, no more than 200 deep, without a key `__proto__`
 */
export function rebuildTree(value: object): object {
  // A `for in` would meet the properties that were added to `Object.prototype`.
  return isPrototypeExtended() ? copyValue(value) : rebuildPart(value);
}

function rebuildPart(value: object): object {
  if (Array.isArray(value)) {
    return value.map(rebuilt);
  }
  const copy: Record<string, unknown> = {};
  for (const name in value) {
    copy[name] = rebuilt((value as Record<string, unknown>)[name]);
  }
  return copy;
}

function rebuilt(part: unknown): unknown {
  return typeof part === 'object' && part !== null ? rebuildPart(part) : part;
}

function copyPart(value: object, copyInstance: CopyInstance | undefined, levels: number): object {
  if (levels === 0) {
    return copyValue(value, { copyInstance });
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype) {
    return prototype === Array.prototype
      ? copyArray(value as unknown[], copyInstance, levels - 1)
      : copyRare(value, copyInstance);
  }
  const copy: Record<string, unknown> = { ...value };
  for (const name in copy) {
    const part = copy[name];
    // An own one: `Object.prototype` may have been given properties.
    if (typeof part === 'object' && part !== null && Object.hasOwn(copy, name)) {
      copy[name] = copyPart(part, copyInstance, levels - 1);
    }
  }
  return copy;
}

function copyArray(array: readonly unknown[], copyInstance: CopyInstance | undefined, levels: number): unknown[] {
  const copy = array.slice();
  for (let index = 0; index < copy.length; index++) {
    const part = copy[index];
    if (typeof part === 'object' && part !== null) {
      copy[index] = copyPart(part, copyInstance, levels);
    }
  }
  return copy;
}

/** A date is by far the most frequent of the objects that are neither plain nor arrays. */
function copyRare(value: object, copyInstance: CopyInstance | undefined): object {
  return Object.getPrototypeOf(value) === Date.prototype
    ? new Date((value as Date).getTime())
    : copyValue(value, { copyInstance });
}
