import { types } from 'node:util';
import { type CopyInstance, copyValue } from './copy.js';
import { isObject, isPrototypeExtended, kindOf } from './kinds.js';

/**
 * Copies of trees: values in which no object is met twice. This is the copier of L1 hits; `copyValue` takes many times
 * as long for its table of shared references. It looks for no accessors and symbols, because L1 keeps only values that
 * were inspected before, and no reader gets the object that L1 keeps.
 *
 * A {@link Layout} describes the values of one type. It says which properties may hold objects: the copier does not look
 * at the others, whose memory is seldom in the caches of the processor. And it has a function of its own that clones
 * these objects, which V8 specialises for them ({@link compileClone}).
 *
 * docs/internals.md compares other ways.
 */

/** A value that L1 keeps, and what is known about it. */
export interface KeptValue {
  readonly value: unknown;
  /** Whether no object in it is met twice, and nothing changes it. Default false: not known. */
  readonly isTree?: boolean;
  /** The number of its layout, by `layoutOf`. Default 0: none. */
  readonly layout?: number;
  /** How an instance is copied. Default: by its properties. */
  readonly copyInstance?: CopyInstance | undefined;
}

/** A copy of a kept value for one reader. @param freezes whether the copy is frozen as far as possible */
export function copyKept({ value, isTree, layout = 0, copyInstance }: KeptValue, freezes: boolean): unknown {
  return isTree === true && !freezes
    ? copyTree(value as object, layout, copyInstance)
    : copyValue(value, { copyInstance, freezes });
}

/**
 * A deep copy of a tree.
 * @param layout the result of `layoutOf` for this very value, which has not changed since; 0: none
 */
export function copyTree(value: object, layout = 0, copyInstance?: CopyInstance): object {
  return copyBy(LAYOUTS[layout] ?? ANY, value, copyInstance);
}

/** Deeper parts are copied without recursion. The codec accepts no value that is deeper than this. */
const MAX_LEVELS = 200;
/** An object with more nested objects is used as a dictionary. */
const MAX_PARTS = 16;
/** All layouts of the process take about 1.2 MB at most. */
const MAX_LAYOUTS = 5000;
/** A layout is made when values with its signature are copied this often. */
const MIN_SIGHTS = 4;
const MAX_SIGNATURES = 1000;
/** Each takes about 3 KB. Further layouts share one function for all objects, which takes two to three times as long. */
const MAX_CLONES = 500;
/** A spread is as fast for an object with more properties. */
const MAX_NAMES = 30;
/** V8 turns an object into a hash table when more properties than this are added to it by name. */
const MAX_ADDED = 16;

type Clone = (value: object) => object;

/**
 * What is known about the values at one place in a tree, such as "the elements of `reviews`". It describes all values
 * that it has learned, so a copy misses no object in any of them. A value of another kind than before makes it `any`:
 * then nothing is known.
 */
class Layout {
  kind: 'unseen' | 'record' | 'instance' | 'list' | 'map' | 'date' | 'any' = 'unseen';
  /** Clones an object without its parts. */
  clone: Clone = cloneInstance;
  /** The names of all properties, in order; `undefined` when its objects differ in them. */
  names: readonly string[] | undefined;
  /** The properties that may hold objects, and the layouts of these objects. */
  readonly parts: { readonly name: string; readonly layout: Layout }[] = [];
  /** The layout of the elements of a list that are objects, or of the values of a Map. */
  element: Layout | undefined;

  learn(value: object, levels = MAX_LEVELS): void {
    const kind = levels === 0 ? 'any' : kindInTree(value);
    const isFirst = this.kind === 'unseen';
    if (isFirst) {
      this.kind = kind;
    } else if (this.kind !== kind) {
      this.kind = 'any';
    }
    if (this.kind === 'list' || this.kind === 'map') {
      (value as unknown[] | Map<unknown, unknown>).forEach((part) => {
        if (isObject(part)) {
          this.element ??= newLayout();
          this.element.learn(part, levels - 1);
        }
      });
    } else if (this.kind === 'record' || this.kind === 'instance') {
      const names = Object.keys(value);
      this.#learnNames(names, isFirst);
      this.#learnParts(value, names, levels - 1);
    }
  }

  #learnNames(names: readonly string[], isFirst: boolean): void {
    if (isFirst) {
      this.names = names;
    } else if (this.names === undefined || isSameList(this.names, names)) {
      return;
    } else {
      this.names = undefined;
    }
    this.clone = compileClone(this.kind === 'instance', this.names);
  }

  #learnParts(value: object, names: readonly string[], levels: number): void {
    for (const name of names) {
      const part = (value as Record<string, unknown>)[name];
      if (isObject(part)) {
        const known = this.parts.find((each) => each.name === name);
        if (known === undefined && (name === '__proto__' || this.parts.length === MAX_PARTS)) {
          this.kind = 'any';
          return;
        }
        const layout = known?.layout ?? newLayout();
        if (known === undefined) {
          this.parts.push({ name, layout });
        }
        layout.learn(part, levels);
      }
    }
  }
}

const ANY = new Layout();
ANY.kind = 'any';
/** The layouts of whole values, by their numbers. Number 0 is the layout of a value of which nothing is known. */
const LAYOUTS: Layout[] = [ANY];
const numbers = new Map<string, number>();
const sights = new Map<string, number>();
let layoutsLeft = MAX_LAYOUTS;

function newLayout(): Layout {
  return layoutsLeft-- > 0 ? new Layout() : ANY;
}

/**
 * The number of a layout that describes this tree, or 0. It stays valid while the tree does not change. Values that begin
 * alike share a layout.
 */
export function layoutOf(value: object): number {
  const signature = signatureOf(value);
  let number = numbers.get(signature);
  if (number === undefined) {
    const count = (sights.get(signature) ?? 0) + 1;
    if (count < MIN_SIGHTS || layoutsLeft <= 0) {
      if (sights.size >= MAX_SIGNATURES) {
        sights.clear();
      }
      sights.set(signature, count);
      return 0;
    }
    sights.delete(signature);
    number = LAYOUTS.push(newLayout()) - 1;
    numbers.set(signature, number);
  }
  LAYOUTS[number]?.learn(value);
  return number;
}

/** A text that is the same for most values of one type: their kind, and the number and ends of their property names. */
function signatureOf(value: object, levels = 4): string {
  if (Array.isArray(value)) {
    const first: unknown = value.find(isObject);
    return levels > 0 && isObject(first) ? `[${signatureOf(first, levels - 1)}` : '[';
  }
  const names = Object.keys(value);
  return `${kindInTree(value)} ${names.length} ${names[0]} ${names.at(-1)}`;
}

function kindInTree(value: object): Layout['kind'] {
  switch (Object.getPrototypeOf(value)) {
    case Object.prototype:
      return 'record';
    case Array.prototype:
      return Array.isArray(value) ? 'list' : 'any';
    case Date.prototype:
      return types.isDate(value) ? 'date' : 'any';
    case Map.prototype:
      return types.isMap(value) && ![...value.keys()].some(isObject) ? 'map' : 'any';
    default:
      return ['instance', 'null-prototype', 'plain'].includes(kindOf(value)) ? 'instance' : 'any';
  }
}

function copyBy(layout: Layout, value: object, copyInstance: CopyInstance | undefined): object {
  switch (layout.kind) {
    case 'record':
      return replaceParts(layout, layout.clone(value), copyInstance);
    case 'list':
      return copyList(layout, value as unknown[], copyInstance);
    case 'date':
      return new Date((value as Date).getTime());
    case 'instance':
      return copyInstance?.(value) ?? replaceParts(layout, layout.clone(value), copyInstance);
    case 'map':
      return copyMap(layout, value as Map<unknown, unknown>, copyInstance);
    default:
      return copyAny(value, copyInstance, MAX_LEVELS);
  }
}

function replaceParts({ parts }: Layout, copy: object, copyInstance: CopyInstance | undefined): object {
  for (const { name, layout } of parts) {
    // An own one: the prototype may have a property of this name.
    if (Object.hasOwn(copy, name)) {
      const part = (copy as Record<string, unknown>)[name];
      if (typeof part === 'object' && part !== null) {
        (copy as Record<string, unknown>)[name] = copyBy(layout, part, copyInstance);
      }
    }
  }
  return copy;
}

function copyList({ element }: Layout, list: readonly unknown[], copyInstance: CopyInstance | undefined): unknown[] {
  const copy = list.slice();
  if (element === undefined) {
    return copy;
  }
  const clone = element.kind === 'record' && element.parts.length === 0 ? element.clone : undefined;
  for (let index = 0; index < copy.length; index++) {
    const part = copy[index];
    if (typeof part === 'object' && part !== null) {
      copy[index] = clone === undefined ? copyBy(element, part, copyInstance) : clone(part);
    }
  }
  return copy;
}

function copyMap(
  { element }: Layout,
  map: ReadonlyMap<unknown, unknown>,
  copyInstance: CopyInstance | undefined,
): Map<unknown, unknown> {
  const copy = new Map(map);
  if (element !== undefined) {
    for (const [key, part] of map) {
      if (isObject(part)) {
        copy.set(key, copyBy(element, part, copyInstance));
      }
    }
  }
  return copy;
}

/** Its properties are defined, not assigned: a setter of the class does not run. */
function cloneInstance(value: object): object {
  return { __proto__: Object.getPrototypeOf(value) as object | null, ...value };
}

function cloneRecord(value: object): object {
  return { ...value };
}

let clonesLeft = MAX_CLONES;

/**
 * A function that clones the objects of one layout. V8 specialises each place in a source for the first few kinds of
 * objects that it meets there, so each layout needs a place of its own: it is compiled from text. The text depends on
 * nothing but the number of properties; their names are passed in.
 * @param names the properties of all objects of the layout; `undefined`: they differ
 */
function compileClone(isInstance: boolean, names: readonly string[] = []): Clone {
  const listed = names.length > MAX_NAMES ? [] : names;
  const parameters = listed.map((_, index) => `name${index}`);
  const copied = parameters.length === 0 ? '...value' : parameters.map((name) => `[${name}]: value[${name}]`).join();
  const prototype = isInstance ? '__proto__: Object.getPrototypeOf(value), ' : '';
  try {
    if (clonesLeft-- > 0) {
      const make = new Function(...parameters, `return (value) => ({ ${prototype}${copied} })`);
      return make(...listed) as Clone;
    }
  } catch {
    clonesLeft = 0; // this process may not compile text: `node --disallow-code-generation-from-strings`
  }
  return isInstance ? cloneInstance : cloneRecord;
}

function isSameList(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((name, index) => name === others[index]);
}

/** Copies a tree of which nothing is known. */
function copyAny(value: object, copyInstance: CopyInstance | undefined, levels: number): object {
  if (levels === 0) {
    return copyValue(value, { copyInstance });
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Array.prototype) {
    return (value as unknown[]).map((part) => (isObject(part) ? copyAny(part, copyInstance, levels - 1) : part));
  }
  if (prototype !== Object.prototype) {
    return copyValue(value, { copyInstance });
  }
  const copy: Record<string, unknown> = { ...value };
  for (const name in copy) {
    const part = copy[name];
    // An own one: `Object.prototype` may have been given properties.
    if (typeof part === 'object' && part !== null && Object.hasOwn(copy, name)) {
      copy[name] = copyAny(part, copyInstance, levels - 1);
    }
  }
  return copy;
}

/**
 * The copy of a tree that L1 keeps. Its objects lie beside each other in memory; those that `JSON.parse` makes have their
 * texts between them, and are copied in 1.5 to 2 times the time.
 * @param value a tree of plain objects and arrays, no more than 200 deep, without a key `__proto__`
 */
export function rebuildTree(value: object): object {
  // A `for in` would meet the properties that were added to `Object.prototype`.
  return isPrototypeExtended() ? copyValue(value) : rebuildPart(value);
}

function rebuildPart(value: object): object {
  if (Array.isArray(value)) {
    // `map` may build a short array by adding elements, with room for 17 of them.
    const copy: unknown[] = value.slice();
    for (let index = 0; index < copy.length; index++) {
      copy[index] = rebuilt(copy[index]);
    }
    return copy;
  }
  const copy: Record<string, unknown> = Object.keys(value).length > MAX_ADDED ? { ...value } : {};
  for (const name in value) {
    copy[name] = rebuilt((value as Record<string, unknown>)[name]);
  }
  return copy;
}

function rebuilt(part: unknown): unknown {
  return typeof part === 'object' && part !== null ? rebuildPart(part) : part;
}
