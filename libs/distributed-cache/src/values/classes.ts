import { isRecord } from './kinds.js';

/** How the instances of one registered class are stored and restored. */
export interface RegisteredClass {
  /** The name of the class in the stored data. */
  readonly name: string;
  readonly class: { readonly prototype: object };
  readonly version: number;
  /** Turns an instance into the data to store. Default: its own enumerable properties. */
  serialize?(instance: object): unknown;
  /**
   * Makes an instance from stored data. Default: an object of the class's prototype with these properties; no
   * constructor runs.
   */
  deserialize?(data: unknown): object;
  /** Turns data of an older version into data for `deserialize`. Without it such an entry can't be read. */
  migrate?(data: unknown, fromVersion: number): unknown;
}

/**
 * An instance of a registered class while it is encoded. Only the codec makes these objects, so no value of the
 * application is taken for one.
 */
export class ClassParts {
  constructor(
    readonly name: string,
    readonly version: number,
    readonly data: unknown,
  ) {}
}

/**
 * The classes whose instances are restored as instances. A prototype always comes from this list, never from stored
 * data.
 */
export class ClassRegistry {
  readonly #byName: ReadonlyMap<string, RegisteredClass>;
  readonly #byPrototype: ReadonlyMap<object, RegisteredClass>;

  constructor(classes: Iterable<RegisteredClass> = []) {
    const all = [...classes];
    this.#byName = new Map(all.map((registered) => [registered.name, registered]));
    this.#byPrototype = new Map(all.map((registered) => [registered.class.prototype, registered]));
  }

  /** The registration of the class of this object itself; a subclass is another class. */
  classOf(instance: object): RegisteredClass | undefined {
    const prototype: unknown = this.#byPrototype.size === 0 ? undefined : Object.getPrototypeOf(instance);
    return isRecord(prototype) ? this.#byPrototype.get(prototype) : undefined;
  }

  /** The data to store for an instance. @throws the errors of `serialize` */
  dataOf(registered: RegisteredClass, instance: object): unknown {
    return registered.serialize === undefined ? { ...instance } : registered.serialize(instance);
  }

  /**
   * A copy of an instance whose class has its own `serialize`; `undefined` for any other. An instance that can't be
   * copied is returned itself: a read must not fail.
   * @param copyData makes a deep copy of the result of `serialize`, which may hold parts of the instance
   */
  copyInstance(instance: object, copyData: (data: unknown) => unknown): object | undefined {
    const registered = this.classOf(instance);
    if (registered?.serialize === undefined) {
      return undefined;
    }
    try {
      const data = copyData(registered.serialize(instance));
      return registered.deserialize === undefined ? withPrototype(registered, data) : registered.deserialize(data);
    } catch {
      return instance;
    }
  }

  get isEmpty(): boolean {
    return this.#byName.size === 0;
  }

  /**
   * Restores an instance.
   * @throws TypeError for a class or a version that is not known, and the errors of `migrate` and `deserialize`
   */
  revive(parts: unknown): object {
    if (!isRecord(parts) || typeof parts['name'] !== 'string' || !isVersion(parts['version'])) {
      throw new TypeError('These are not the parts of an instance');
    }
    const registered = this.#byName.get(parts['name']);
    if (registered === undefined) {
      throw new TypeError('Its class is not registered');
    }
    const data = upToDate(registered, parts['data'], parts['version']);
    return registered.deserialize === undefined ? withPrototype(registered, data) : registered.deserialize(data);
  }
}

export const NO_CLASSES = new ClassRegistry();

function upToDate(registered: RegisteredClass, data: unknown, version: number): unknown {
  if (version === registered.version) {
    return data;
  }
  if (version > registered.version || registered.migrate === undefined) {
    throw new TypeError(`Its class has version ${registered.version} here`);
  }
  return registered.migrate(data, version);
}

function withPrototype({ class: type }: RegisteredClass, data: unknown): object {
  if (!isRecord(data)) {
    throw new TypeError('It has no properties');
  }
  const instance = Object.create(type.prototype) as object;
  for (const [key, value] of Object.entries(data)) {
    if (key !== '__proto__') {
      // Defined, not assigned: a key from outside must not run a setter.
      Object.defineProperty(instance, key, { value, enumerable: true, writable: true, configurable: true });
    }
  }
  return instance;
}

function isVersion(version: unknown): version is number {
  return typeof version === 'number' && Number.isSafeInteger(version) && version > 0;
}
