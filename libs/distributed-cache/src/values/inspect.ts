import { types } from 'node:util';
import { ClassParts, type ClassRegistry, NO_CLASSES, type RegisteredClass } from './classes.js';
import { describeError } from './error-parts.js';
import { Refusal, propertyStep, toRefusedError } from './refusal.js';
import {
  describeType,
  hasStandardPrototype,
  hasToJson,
  isError,
  isPrototypeExtended,
  isRecord,
  kindOf,
} from './kinds.js';

/** Deepest nesting of containers that is written, and that is accepted when it is read. */
export const MAX_DEPTH = 200;
/**
 * Longest array with holes. Its length can be set to any number, and code that loops over it spends time on every hole.
 */
export const MAX_SPARSE_LENGTH = 1_000_000;
/**
 * Longest decimal of a BigInt. Reading one takes quadratic time: four million digits would block the process for a
 * second.
 */
export const MAX_BIGINT_DIGITS = 10_000;

const BIGINT_BITS = 32_768n; // 9865 digits
const BIGINT_LIMIT = 1n << BIGINT_BITS;

export interface Inspection {
  /** Whether `JSON.stringify` keeps all of the value, so that no other notation is needed. */
  readonly isJson: boolean;
  /**
   * Whether the value that is read back equals the given one; false for class instances, errors, accessors and the
   * like.
   */
  readonly isExact: boolean;
  /** The names of the classes whose instances are stored as plain objects, because they are not registered. */
  readonly flattened: readonly string[];
}

/**
 * Decides in one walk how a value is written, before anything is written.
 * @param purpose `read`: the value has been restored, and the content of an instance of a registered class is not
 * checked
 * @throws ValueRefusedError with the type and its path, never a value
 */
export function inspectValue(
  value: unknown,
  classes: ClassRegistry = NO_CLASSES,
  purpose: 'write' | 'read' = 'write',
): Inspection {
  const inspector = new ValueInspector(classes, purpose);
  try {
    inspector.visit(value, 0);
  } catch (error) {
    throw toRefusedError(error);
  }
  return inspector;
}

/**
 * The walk of `inspectValue`. It runs on every write, so the common kinds come first, and rare ones have methods of
 * their own.
 */
class ValueInspector implements Inspection {
  isJson = true;
  isExact = true;
  flattened: readonly string[] = [];
  readonly #seen = new SeenObjects();
  /** Errors and instances of registered classes whose parts are being visited. */
  #open: Set<object> | undefined;

  constructor(
    private readonly classes: ClassRegistry,
    private readonly purpose: 'write' | 'read',
  ) {}

  visit(value: unknown, depth: number): void {
    if (typeof value === 'object') {
      if (isRecord(value)) {
        this.#visitObject(value, depth);
      }
    } else if (typeof value === 'number') {
      this.isJson &&= Number.isFinite(value) && (value !== 0 || 1 / value > 0);
    } else if (typeof value !== 'string' && typeof value !== 'boolean') {
      this.#visitRarePrimitive(value);
    }
  }

  #visitRarePrimitive(value: unknown): void {
    this.isJson = false;
    if (typeof value === 'bigint' && (value >= BIGINT_LIMIT || value <= -BIGINT_LIMIT)) {
      throw new Refusal('unserializable', `a bigint of more than ${BIGINT_BITS} bits`);
    }
    if (typeof value === 'function' || typeof value === 'symbol') {
      throw new Refusal('unserializable', describeType(value));
    }
  }

  #visitObject(value: Record<string, unknown>, depth: number): void {
    if (!this.#seen.add(value)) {
      this.#visitAgain(value);
      return;
    }
    if (depth >= MAX_DEPTH) {
      throw new Refusal('too-deep', `more than ${MAX_DEPTH} levels`);
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype) {
      this.#visitProperties(value, depth + 1);
    } else if (prototype === Array.prototype && Array.isArray(value)) {
      this.#visitArray(value, depth + 1);
    } else {
      this.#visitRareObject(value, depth + 1);
    }
  }

  /** Handles a shared reference or a cycle. An object that is restored from its parts can't be one of its own parts. */
  #visitAgain(value: object): void {
    this.isJson = false;
    if (this.#open?.has(value) === true) {
      throw new Refusal('unserializable', `${isError(value) ? 'an error' : describeType(value)} that contains itself`);
    }
  }

  #visitArray(array: readonly unknown[], depth: number): void {
    // A match of a regular expression is an array with properties; only its elements are kept.
    if (Object.getPrototypeOf(array) !== Array.prototype || 'groups' in array) {
      this.isExact = false;
    }
    if (hasToJson(array)) {
      this.isExact = false;
      return;
    }
    try {
      for (let index = 0; index < array.length; index++) {
        const element = array[index];
        if (element === undefined && !(index in array)) {
          this.#visitSparse(array, depth);
          return;
        }
        this.visit(element, depth);
      }
    } catch (error) {
      throw located(error, '[]');
    }
  }

  #visitSparse(array: readonly unknown[], depth: number): void {
    this.isJson = false;
    if (array.length > MAX_SPARSE_LENGTH) {
      throw new Refusal('unserializable', `an array with holes, longer than ${MAX_SPARSE_LENGTH}`);
    }
    for (const element of Object.values(array)) {
      this.visit(element, depth);
    }
  }

  /** Visits the own properties of a plain object. A `toJSON`, an accessor or a symbol is not kept as it is. */
  #visitProperties(object: Record<string, unknown>, depth: number): void {
    if (Object.getOwnPropertySymbols(object).length > 0) {
      this.isExact = false;
    }
    if (hasToJson(object)) {
      this.isExact = false;
      return;
    }
    let step = '';
    try {
      for (const key in object) {
        if (!Object.hasOwn(object, key)) {
          continue; // inherited: `Object.prototype` was extended
        }
        step = key;
        if (key === '__proto__') {
          this.isExact = false;
          continue;
        }
        const property = object[key];
        if (isAccessor(object, key, property)) {
          this.isExact = false;
        }
        this.visit(property, depth);
      }
    } catch (error) {
      throw located(error, propertyStep(step));
    }
  }

  #visitRareObject(value: Record<string, unknown>, depth: number): void {
    const registered = this.classes.classOf(value);
    if (registered !== undefined) {
      this.#visitRegistered(registered, value, depth);
      return;
    }
    if (Array.isArray(value)) {
      this.#visitArray(value, depth);
      return;
    }
    if (isError(value)) {
      this.#visitError(value, depth);
      return;
    }
    switch (kindOf(value)) {
      case 'plain': // of another realm: it is restored as an object of this one
        this.#visitProperties(value, depth);
        break;
      case 'null-prototype':
        this.isJson = false;
        this.#visitProperties(value, depth);
        break;
      case 'instance':
        this.#visitInstance(value, depth);
        break;
      case 'boxed':
        this.isExact = false;
        this.visit(value.valueOf(), depth);
        break;
      case 'opaque':
        throw new Refusal('unserializable', describeType(value));
      default:
        this.#visitBuiltIn(value, depth);
    }
  }

  #visitInstance(value: Record<string, unknown>, depth: number): void {
    if (value instanceof ClassParts) {
      this.isJson = false;
      this.visit(value.data, depth);
      return;
    }
    this.isExact = false;
    const name = describeType(value).replace(/^an? /, '');
    if (!this.flattened.includes(name)) {
      this.flattened = [...this.flattened, name];
    }
    this.#visitProperties(value, depth);
  }

  /**
   * Visits an instance of a registered class. It is never exact: the private state of the class is not visible, and
   * only `serialize` decides what is restored.
   */
  #visitRegistered(registered: RegisteredClass, instance: object, depth: number): void {
    this.isJson = false;
    this.isExact = false;
    if (this.purpose === 'write') {
      (this.#open ??= new Set()).add(instance);
      this.visit(this.classes.dataOf(registered, instance), depth);
      this.#open?.delete(instance);
    }
  }

  #visitBuiltIn(value: object, depth: number): void {
    this.isJson = false;
    this.isExact &&= hasStandardPrototype(value) && (ArrayBuffer.isView(value) || Object.keys(value).length === 0);
    try {
      if (types.isMap(value)) {
        for (const [key, entry] of value) {
          this.visit(key, depth);
          this.visit(entry, depth);
        }
      } else if (types.isSet(value)) {
        for (const entry of value) {
          this.visit(entry, depth);
        }
      }
    } catch (error) {
      throw located(error, '[…]');
    }
  }

  /**
   * Visits an error. It is never exact, because the stack is not kept: it belongs to the caller, and may contain names
   * that must not be in Redis.
   */
  #visitError(error: Error, depth: number): void {
    this.isJson = false;
    this.isExact = false;
    (this.#open ??= new Set()).add(error);
    const { cause, errors, fields } = describeError(error);
    this.visit(cause, depth);
    this.visit(errors, depth);
    this.#visitProperties(fields, depth);
    this.#open?.delete(error);
  }
}

type LookupGetter = (this: object, key: string) => unknown;

const lookupGetter = Reflect.get(Object.prototype, '__lookupGetter__') as LookupGetter;

/**
 * Whether an own property is computed. The check does not read its descriptor, which would allocate an object for every
 * property of every value written: asking for its getter (ECMA-262, annex B) takes a quarter of the time. A property
 * that has only a setter reads as `undefined`.
 */
function isAccessor(object: object, key: string, value: unknown): boolean {
  return (
    lookupGetter.call(object, key) !== undefined ||
    (value === undefined && Object.getOwnPropertyDescriptor(object, key)?.set !== undefined)
  );
}

function located(error: unknown, step: string): unknown {
  if (error instanceof Refusal) {
    error.via(step);
  }
  return error;
}

/** From this number on, a hash costs less than a search through a list. */
const MANY = 16;

/** The objects that a walk has met. Most values have few, for which a `Set` would be most of the cost of the walk. */
class SeenObjects {
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
 * Whether `JSON.stringify` keeps everything that can be read of a value, as far as a quick check can say: nothing but
 * plain objects and arrays, each met once and not nested too deep, texts, booleans, null, and the numbers that JSON
 * has. `false` may mean that the full check (`inspectValue`) is needed. That check also finds accessors and symbols,
 * which take three quarters of its time; when the value is kept as text they can't be observed.
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
