import { types } from 'node:util';
import { dataOfInstance } from './class-safety.js';
import { ClassParts, type ClassRegistry, InstanceGraph, isKeptByProperties, type RegisteredClass } from './classes.js';
import { describeError, reviveError } from './error-parts.js';
import { hasToJson, isError, isObject, kindOf } from './kinds.js';

/**
 * Copies a value into one that can be written as it is. Instances become the parts of which they are restored.
 * `__proto__` keys, symbols and accessors are dropped. Shared references and cycles stay. With `flatten`, instances of
 * unregistered classes become plain objects of their own properties, or the result of their `toJSON`. Built-ins that are
 * written by their content (dates, buffers, URLs) are not copied.
 *
 * Call it only with a value that `inspectValue` has accepted: that check limits the depth of this walk.
 */
export function copyAsPlain(
  value: unknown,
  classes: ClassRegistry,
  { flatten, isGraph }: { readonly flatten: boolean; readonly isGraph: boolean },
): unknown {
  const listed = isGraph ? new Map<RegisteredClass, object[]>() : undefined;
  const copy = new PlainCopier(classes, flatten, listed).copy(value);
  return listed === undefined
    ? copy
    : new InstanceGraph(
        copy,
        [...listed].map(([{ name, version }, instances]) => ({ name, version, instances })),
      );
}

class PlainCopier {
  readonly #copies = new Map<object, unknown>();

  constructor(
    private readonly classes: ClassRegistry,
    private readonly flatten: boolean,
    /** For a graph: the copies of instances, by class. */
    private readonly listed: Map<RegisteredClass, object[]> | undefined,
  ) {}

  copy(value: unknown): unknown {
    if (!isObject(value)) {
      return value;
    }
    return this.#copies.has(value) ? this.#copies.get(value) : this.#copyObject(value);
  }

  #copyObject(value: Record<string, unknown>): unknown {
    const registered = this.classes.classOf(value) ?? (this.flatten ? undefined : this.classes.learnedClassOf(value));
    if (registered !== undefined) {
      return this.#copyInstance(registered, value);
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

  /**
   * Holes stay holes. The inspection limits the length of an array that has any. As in all methods, the copy is
   * remembered before its contents are copied, so that a cycle ends.
   */
  #copyArray(array: readonly unknown[]): unknown {
    if (hasToJson(array)) {
      return this.#copyJsonForm(array);
    }
    const target: unknown[] = this.#remember(array, []);
    for (let index = 0; index < array.length; index++) {
      if (index in array) {
        target[index] = this.copy(array[index]);
      }
    }
    target.length = array.length;
    return target;
  }

  #copyProperties(value: Record<string, unknown>, target: Record<string, unknown>): unknown {
    return hasToJson(value) ? this.#copyJsonForm(value) : this.#fill(this.#remember(value, target), value);
  }

  #fill(target: Record<string, unknown>, value: Record<string, unknown>): unknown {
    for (const key of Object.keys(value)) {
      if (key !== '__proto__') {
        target[key] = this.copy(value[key]);
      }
    }
    return target;
  }

  #copyInstance(registered: RegisteredClass, instance: object): unknown {
    if (this.listed !== undefined && isKeptByProperties(registered)) {
      return this.#listInstance(registered, instance, this.listed);
    }
    const data = this.copy(this.classes.dataOf(registered, instance));
    return this.#remember(instance, new ClassParts(registered.name, registered.version, data));
  }

  #listInstance(registered: RegisteredClass, instance: object, listed: Map<RegisteredClass, object[]>): unknown {
    const target = this.#remember(instance, {});
    const others = listed.get(registered);
    if (others === undefined) {
      listed.set(registered, [target]);
    } else {
      others.push(target);
    }
    return this.#fill(target, dataOfInstance(instance, registered.class));
  }

  #copyMap(map: ReadonlyMap<unknown, unknown>): unknown {
    const target = this.#remember(map, new Map<unknown, unknown>());
    for (const [key, entry] of map) {
      target.set(this.copy(key), this.copy(entry));
    }
    return target;
  }

  #copySet(set: ReadonlySet<unknown>): unknown {
    const target = this.#remember(set, new Set<unknown>());
    for (const entry of set) {
      target.add(this.copy(entry));
    }
    return target;
  }

  #copyError(error: Error): unknown {
    const parts = Object.entries(describeError(error)).map(([name, part]) => [name, this.copy(part)]);
    return this.#remember(error, reviveError(Object.fromEntries(parts)));
  }

  /** The result of `toJSON`, with the types that JSON does not have. */
  #copyJsonForm(value: object & { toJSON?(key: string): unknown }): unknown {
    return this.#remember(value, this.copy(value.toJSON?.('')));
  }

  #remember<Copy>(value: object, copy: Copy): Copy {
    this.#copies.set(value, copy);
    return copy;
  }
}
