import { types } from 'node:util';
import { ClassParts, type ClassRegistry, type RegisteredClass } from './classes.js';
import { describeError, reviveError } from './error-parts.js';
import { tidyJson } from './json-text.js';
import { Refusal } from './refusal.js';
import { hasToJson, isError, isRecord, kindOf } from './kinds.js';

/**
 * Copies a value into one that can be written as it is. Class instances become plain objects of their own properties,
 * or the result of their `toJSON`; `__proto__` keys, symbols and accessors are dropped. Shared references and cycles
 * stay. Instances of registered classes become their parts. Built-ins that are written by their content (dates,
 * buffers, URLs) are not copied.
 *
 * Call it only with a value that `inspectValue` has accepted: that check limits the depth of this walk.
 */
export function copyAsPlain(value: unknown, classes: ClassRegistry): unknown {
  return new PlainCopier(classes).copy(value);
}

class PlainCopier {
  readonly #copies = new Map<object, unknown>();

  constructor(private readonly classes: ClassRegistry) {}

  copy(value: unknown): unknown {
    if (!isRecord(value)) {
      return value;
    }
    return this.#copies.has(value) ? this.#copies.get(value) : this.#copyObject(value);
  }

  #copyObject(value: Record<string, unknown>): unknown {
    const registered = this.classes.classOf(value);
    if (registered !== undefined) {
      return this.#copyRegistered(registered, value);
    }
    if (Array.isArray(value)) {
      return this.#copyArray(value);
    }
    if (types.isMap(value)) {
      return this.#copyMap(value);
    }
    if (types.isSet(value)) {
      return this.#copySet(value);
    }
    if (isError(value)) {
      return this.#copyError(value);
    }
    switch (kindOf(value)) {
      case 'plain':
      case 'instance':
        return this.#copyProperties(value, {});
      case 'null-prototype':
        return this.#copyProperties(value, Object.create(null));
      case 'boxed':
        return value.valueOf();
      default:
        return value;
    }
  }

  /** Holes stay holes. The inspection limits the length of an array that has any. */
  #copyArray(array: readonly unknown[]): unknown {
    if (hasToJson(array)) {
      return this.#remember(array, throughJson(array));
    }
    const target: unknown[] = [];
    this.#remember(array, target);
    for (let index = 0; index < array.length; index++) {
      if (index in array) {
        target[index] = this.copy(array[index]);
      }
    }
    target.length = array.length;
    return target;
  }

  /** The copy is registered before its contents are copied, so that a cycle ends. */
  #copyProperties(value: Record<string, unknown>, target: Record<string, unknown>): unknown {
    if (hasToJson(value)) {
      return this.#remember(value, throughJson(value));
    }
    this.#remember(value, target);
    for (const key of Object.keys(value)) {
      if (key !== '__proto__') {
        target[key] = this.copy(value[key]);
      }
    }
    return target;
  }

  #copyRegistered(registered: RegisteredClass, instance: object): unknown {
    const data = this.copy(this.classes.dataOf(registered, instance));
    return this.#remember(instance, new ClassParts(registered.name, registered.version, data));
  }

  #copyMap(map: ReadonlyMap<unknown, unknown>): unknown {
    const target = new Map<unknown, unknown>();
    this.#remember(map, target);
    for (const [key, entry] of map) {
      target.set(this.copy(key), this.copy(entry));
    }
    return target;
  }

  #copySet(set: ReadonlySet<unknown>): unknown {
    const target = new Set<unknown>();
    this.#remember(set, target);
    for (const entry of set) {
      target.add(this.copy(entry));
    }
    return target;
  }

  #copyError(error: Error): unknown {
    const parts = Object.entries(describeError(error)).map(([name, part]) => [name, this.copy(part)]);
    return this.#remember(error, reviveError(Object.fromEntries(parts)));
  }

  #remember(value: object, copy: unknown): unknown {
    this.#copies.set(value, copy);
    return copy;
  }
}

function throughJson(value: object): unknown {
  const text: string | undefined = JSON.stringify(value);
  const made: unknown = text === undefined ? undefined : JSON.parse(text);
  if (!tidyJson(made)) {
    throw new Refusal('too-deep', 'what its toJSON makes');
  }
  return made;
}
