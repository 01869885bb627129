import { types } from 'node:util';
import { ValueRefusedError } from '../errors/index.js';
import { BytesValue } from './bytes-value.js';
import {
  ClassParts,
  type ClassRegistry,
  InstanceGraph,
  isKeptByProperties,
  type RegisteredClass,
  refusal,
  remedyFor,
} from './classes.js';
import { describeError } from './error-parts.js';
import { hasNamedProperties, MAX_DEPTH, SeenObjects } from './json.js';
import { Refusal, propertyStep, toRefusal, toRefusedError } from './refusal.js';
import {
  isAccessor,
  describeType,
  hasEnumerableSymbols,
  hasStandardPrototype,
  hasToJson,
  isError,
  isObject,
  isOfOwnClass,
  kindOf,
} from './kinds.js';

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
  /** Whether its instances are restored together, in a graph: one contains itself, or was not registered. */
  readonly isGraph: boolean;
}

export interface InspectionRules {
  /** The classes whose instances are kept, and to which new ones are added. Default: no instance is kept. */
  readonly classes?: ClassRegistry | undefined;
  /**
   * Whether instances of unregistered classes become plain objects, and what plain data has no form for (named
   * properties of an array, symbol keys) is dropped. Default false: such a value is refused.
   */
  readonly flatten?: boolean;
  /** `read`: this library has made the value, from stored data or as a copy. Default `write`. */
  readonly purpose?: 'write' | 'read';
}

/** What to write for an instance in text for other programs. */
const FLATTEN_INSTANCE = 'Write flatten: true in the options of the namespace to store plain objects';
/** What to write instead of a value that would lose a part of it. */
const FLATTEN = 'Make it a plain property of an object, or write flatten: true in the options of the namespace';

/**
 * Decides in one walk how a value is written, before anything is written.
 * @throws ValueRefusedError with the type and its path, never a value
 */
export function inspectValue(value: unknown, rules: InspectionRules = {}): Inspection {
  const inspector = new ValueInspector(rules);
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
  isGraph = false;
  readonly #seen = new SeenObjects();
  /** Errors and instances whose parts are being visited, and whether they may contain themselves. */
  #open: Map<object, boolean> | undefined;
  readonly #classes: ClassRegistry | undefined;
  readonly #flatten: boolean;
  readonly #isWrite: boolean;
  /** Whether a part that would get lost is refused. */
  readonly #isStrict: boolean;

  constructor({ classes, flatten = false, purpose = 'write' }: InspectionRules) {
    this.#classes = classes;
    this.#flatten = flatten;
    this.#isWrite = purpose === 'write';
    this.#isStrict = this.#isWrite && !flatten;
  }

  visit(value: unknown, depth: number): void {
    if (typeof value === 'object') {
      if (isObject(value)) {
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
    const mayContainItself = this.#open?.get(value);
    this.isGraph ||= mayContainItself === true;
    if (mayContainItself === false) {
      throw new Refusal('unserializable', `${isError(value) ? 'an error' : describeType(value)} that contains itself`);
    }
  }

  #visitArray(array: readonly unknown[], depth: number): void {
    if (Object.getPrototypeOf(array) !== Array.prototype) {
      this.#visitSubclassed(array);
    }
    if (this.#isWrite && hasNamedProperties(array)) {
      this.#lose(array, 'it has named properties');
    }
    if (hasToJson(array)) {
      this.#lose(array, 'it has a toJSON() of its own');
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

  /** A part of this object is not kept: the object is refused, unless that was asked for. */
  #lose(object: object, problem: string): void {
    this.isExact = false;
    if (this.#isStrict) {
      throw new Refusal('unserializable', describeType(object), `${problem}. ${FLATTEN}`);
    }
  }

  /** Visits the own properties of a plain object. A `toJSON`, an accessor or a symbol is not kept as it is. */
  #visitProperties(object: Record<string, unknown>, depth: number): void {
    if (Object.getOwnPropertySymbols(object).length > 0) {
      this.#visitSymbols(object);
    }
    if (hasToJson(object)) {
      this.#lose(object, 'it has a toJSON() of its own');
      return;
    }
    let step = '';
    let count = 0;
    try {
      for (const key in object) {
        if (!Object.hasOwn(object, key)) {
          continue; // inherited: `Object.prototype` was extended
        }
        count++;
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
    if (this.#isWrite && Object.getOwnPropertyNames(object).length !== count) {
      this.#lose(object, 'it has a property that is not enumerable');
    }
  }

  /** A symbol that is not enumerable is not part of the data. */
  #visitSymbols(object: object): void {
    this.isExact = false;
    if (hasEnumerableSymbols(object)) {
      this.#lose(object, 'it has a property under a symbol');
    }
  }

  #visitRareObject(value: Record<string, unknown>, depth: number): void {
    const registered = this.#classes?.classOf(value);
    if (registered !== undefined) {
      this.#visitKept(registered, value, depth);
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
    if (value instanceof ClassParts || value instanceof InstanceGraph) {
      this.isJson = false;
      this.visit(value instanceof ClassParts ? value.data : value.value, depth);
      return;
    }
    if (value instanceof BytesValue) {
      this.isJson = false;
      return;
    }
    this.isExact = false;
    if (this.#flatten) {
      this.#visitProperties(value, depth);
    } else if (this.#isWrite) {
      if (this.#classes === undefined) {
        throw refusal(value, 'text for other programs (format) keeps no class', FLATTEN_INSTANCE);
      }
      this.isGraph = true;
      this.#visitKept(this.#classes.learn(value), value, depth);
    } else {
      this.isJson = false;
    }
  }

  /**
   * Visits an instance whose class is known. It is never exact: only `serialize`, or the copy of its properties, decides
   * what is restored.
   */
  #visitKept(registered: RegisteredClass, instance: object, depth: number): void {
    this.isJson = false;
    this.isExact = false;
    if (this.#isWrite && this.#classes !== undefined) {
      (this.#open ??= new Map()).set(instance, isKeptByProperties(registered));
      const data = this.#classes.dataOf(registered, instance);
      try {
        this.visit(data, depth);
      } catch (error) {
        throw error instanceof Refusal ? error.within(describeType(instance), remedyFor(instance)) : error;
      }
      this.#open?.delete(instance);
    }
  }

  /** An instance of a class that extends a built-in: without a registration, only the built-in part of it is kept. */
  #visitSubclassed(builtIn: object): void {
    this.isExact = false;
    if (this.#isStrict && isOfOwnClass(builtIn)) {
      throw refusal(builtIn, 'its class extends a built-in');
    }
  }

  #visitBuiltIn(value: object, depth: number): void {
    this.isJson = false;
    if (!hasStandardPrototype(value)) {
      this.#visitSubclassed(value);
    }
    if (!ArrayBuffer.isView(value) && Object.keys(value).length > 0) {
      this.#lose(value, 'it has named properties');
    }
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
    this.#visitSubclassed(error);
    (this.#open ??= new Map()).set(error, false);
    const { cause, errors, fields } = describeError(error);
    this.visit(cause, depth);
    this.visit(errors, depth);
    this.#visitProperties(fields, depth);
    this.#open?.delete(error);
  }
}

/** Adds the step to the path of a refusal. A getter or a proxy that throws is one; its message may quote the value. */
function located(error: unknown, step: string): unknown {
  if (error instanceof ValueRefusedError) {
    return error;
  }
  const refused = toRefusal(error);
  refused.via(step);
  return refused;
}
