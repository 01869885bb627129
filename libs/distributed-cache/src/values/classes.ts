import { UnknownClassError } from '../errors/index.js';
import { copyValue, type CopyInstance } from './copy.js';
import {
  classProblem,
  dataOfInstance,
  emptinessProblem,
  fingerprintOf,
  instanceProblem,
  nameProblem,
  ownConstructorOf,
  restoreConstructor,
} from './class-safety.js';
import { defineProperty, describeType, hasToJson, isObject } from './kinds.js';
import { Refusal, withoutArticle } from './refusal.js';

/** How the instances of one class are stored and restored. */
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

/** The classes that declare themselves, by a decorator. */
export interface DeclaredClasses {
  /** The declaration of this class itself. */
  of(type: object): RegisteredClass | undefined;
  /** Every class that is declared under this name. */
  named(name: string): readonly RegisteredClass[];
}

const NONE_DECLARED: DeclaredClasses = { of: () => undefined, named: () => [] };

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
 * A value with instances of classes that are not registered, or with instances that contain themselves, while it is
 * encoded: the instances are plain objects in it, and listed beside it. They get their prototypes when the whole value
 * has been made. The instances of a registered class are `ClassParts` otherwise, which earlier versions read.
 */
export class InstanceGraph {
  constructor(
    readonly value: unknown,
    readonly classes: readonly InstancesOfClass[],
  ) {}
}

export interface InstancesOfClass {
  readonly name: string;
  readonly version: number;
  readonly instances: readonly object[];
}

/** Stands between the name and the fingerprint of a learned class. No identifier contains it. */
const FINGERPRINT_MARK = '~';

function plainName(storedName: string): string {
  return storedName.split(FINGERPRINT_MARK, 1)[0] ?? '';
}

const OR_ELSE =
  ' above the class (for a class of another package: codec.classes), or flatten: true in the options of the namespace to store plain objects';
const WRITE_SERIALIZE = `Write @CachedClass({ serialize, deserialize })${OR_ELSE}`;
const WRITE_NAME = `Write @CachedClass({ name: '…' })${OR_ELSE}`;

/**
 * The classes whose instances are restored as instances: those that the configuration registers, those that declare
 * themselves, and those that this process has learned from an instance that it was to store. A prototype always comes
 * from this list, never from stored data. One name belongs to one class, the first one that uses it here. A learned class
 * is stored under its name and a hash of its source, because other processes may know another class of this name.
 */
export class ClassRegistry {
  /** By the name in the stored data. */
  readonly #byName = new Map<string, RegisteredClass>();
  /** The names of classes that are in use. */
  readonly #taken = new Set<string>();
  readonly #registered = new WeakMap<object, RegisteredClass>();
  readonly #learned = new WeakMap<object, RegisteredClass>();
  #hasSerializers = false;

  constructor(
    configured: Iterable<RegisteredClass> = [],
    private readonly declared: DeclaredClasses = NONE_DECLARED,
  ) {
    for (const registered of configured) {
      this.#admit(registered, this.#registered, registered.name);
    }
  }

  /**
   * The function that copies the instances of classes with their own `serialize`; there is none until such a class is
   * known. A value with an instance is encoded or decoded before it is kept, and its class is known from then on.
   */
  get copyInstance(): CopyInstance | undefined {
    return this.#hasSerializers ? this.#copyInstance : undefined;
  }

  /**
   * The registration of the class of this object itself, by configuration or declaration; a subclass is another class.
   * @throws Refusal when the name of a declared class belongs to another one
   */
  classOf(instance: object): RegisteredClass | undefined {
    const prototype: unknown = Object.getPrototypeOf(instance);
    if (!isObject(prototype) || prototype === Object.prototype) {
      return undefined;
    }
    const known = this.#registered.get(ownConstructorOf(instance) ?? prototype);
    if (known !== undefined) {
      return known;
    }
    const declared = typeof prototype.constructor === 'function' ? this.declared.of(prototype.constructor) : undefined;
    if (declared?.class.prototype !== prototype) {
      return undefined;
    }
    if (this.#taken.has(declared.name)) {
      throw refusal(instance, `another class is stored under its name ${declared.name}`, WRITE_NAME);
    }
    return this.#admit(declared, this.#registered, declared.name);
  }

  learnedClassOf(instance: object): RegisteredClass | undefined {
    const prototype: unknown = Object.getPrototypeOf(instance);
    return isObject(prototype) ? this.#learned.get(prototype) : undefined;
  }

  /**
   * The class of an instance that is neither registered nor declared, known from now on.
   * @throws Refusal when its instances can't be restored from their properties, or its name is not its own
   */
  learn(instance: object): RegisteredClass {
    const known = this.learnedClassOf(instance);
    if (known !== undefined) {
      return known;
    }
    const problem = classProblem(Object.getPrototypeOf(instance) as object) ?? emptinessProblem(instance);
    if (problem !== undefined) {
      throw refusal(instance, problem);
    }
    const type = (Object.getPrototypeOf(instance) as object).constructor;
    const { name } = type;
    const ofName = nameProblem(name);
    if (ofName !== undefined) {
      throw refusal(instance, ofName, WRITE_NAME);
    }
    if (this.#taken.has(name) || this.declared.named(name).length > 0) {
      throw refusal(instance, `another class has the same name ${name}`, WRITE_NAME);
    }
    const storedName = `${name}${FINGERPRINT_MARK}${fingerprintOf(type.prototype as object)}`;
    return this.#admit({ name: storedName, class: type, version: 1 }, this.#learned, name);
  }

  /**
   * The data to store for an instance.
   * @throws Refusal for an instance whose class has no `serialize` and needs one, and the errors of `serialize`
   */
  dataOf(registered: RegisteredClass, instance: object): unknown {
    if (registered.serialize !== undefined) {
      return registered.serialize(instance);
    }
    const problem =
      classProblem(Object.getPrototypeOf(instance) as object) ?? instanceProblem(instance, registered.class);
    if (problem !== undefined) {
      throw refusal(instance, problem);
    }
    return dataOfInstance(instance, registered.class);
  }

  /** Copies an instance, data included. One that can't be copied is returned itself: a read must not fail. */
  readonly #copyInstance: CopyInstance = (instance) => {
    try {
      const registered = this.classOf(instance);
      if (registered?.serialize === undefined) {
        return undefined;
      }
      const data = copyValue(registered.serialize(instance), { copyInstance: this.#copyInstance });
      return registered.deserialize === undefined ? withPrototype(registered, data) : registered.deserialize(data);
    } catch {
      return instance;
    }
  };

  /**
   * Restores an instance.
   * @throws UnknownClassError, TypeError for a version that is not known, and the errors of `migrate` and `deserialize`
   */
  revive(parts: unknown): object {
    if (!isObject(parts) || typeof parts['name'] !== 'string' || !isVersion(parts['version'])) {
      throw new TypeError('These are not the parts of an instance');
    }
    const registered = this.#named(parts['name']);
    if (registered === undefined) {
      throw new UnknownClassError(plainName(parts['name']));
    }
    const data = upToDate(registered, parts['data'], parts['version']);
    return registered.deserialize === undefined ? withPrototype(registered, data) : registered.deserialize(data);
  }

  /**
   * Restores the instances of a graph.
   * @throws UnknownClassError, and TypeError for a version that is not known, and for what is not a graph
   */
  reviveGraph(graph: unknown): unknown {
    if (!isObject(graph) || !Array.isArray(graph['classes'])) {
      throw new TypeError('This is not a graph of instances');
    }
    for (const { name, version, instances } of graph['classes'] as Partial<InstancesOfClass>[]) {
      const registered = typeof name === 'string' ? this.#named(name) : undefined;
      if (registered === undefined) {
        throw new UnknownClassError(plainName(String(name)));
      }
      if (version !== registered.version || registered.deserialize !== undefined || !Array.isArray(instances)) {
        throw new TypeError(`Its class has version ${registered.version} here`);
      }
      for (const instance of instances as unknown[]) {
        if (!isObject(instance) || Object.getPrototypeOf(instance) !== Object.prototype) {
          throw new TypeError('This is not the data of an instance');
        }
        restoreConstructor(Object.setPrototypeOf(instance, registered.class.prototype) as object, registered.class);
      }
    }
    return graph['value'];
  }

  /** The class of a name. When several classes declare the name, the first one that is stored here has it. */
  #named(name: string): RegisteredClass | undefined {
    const known = this.#byName.get(name);
    if (known !== undefined) {
      return known;
    }
    const [declared, ...others] = this.declared.named(name);
    return declared === undefined || others.length > 0 ? undefined : this.#admit(declared, this.#registered, name);
  }

  #admit(registered: RegisteredClass, into: WeakMap<object, RegisteredClass>, name: string): RegisteredClass {
    this.#taken.add(name);
    this.#byName.set(registered.name, registered);
    into.set(registered.class.prototype, registered);
    into.set(registered.class, registered);
    this.#hasSerializers ||= registered.serialize !== undefined;
    return registered;
  }
}

/** Whether an instance is restored from its own properties alone: then it may contain itself. */
export function isKeptByProperties(registered: RegisteredClass): boolean {
  return registered.serialize === undefined && registered.deserialize === undefined;
}

/** The refusal of an instance, with the line to write. */
export function refusal(instance: object, problem: string, remedy?: string): Refusal {
  const described = describeType(instance);
  return new Refusal('class', described, `${problem}. ${remedyFor(instance, remedy)}`, withoutArticle(described));
}

export function remedyFor(instance: object, remedy = WRITE_SERIALIZE): string {
  return hasToJson(instance) ? `${remedy}, or return plain data, such as the result of its toJSON()` : remedy;
}

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
  if (!isObject(data)) {
    throw new TypeError('It has no properties');
  }
  const instance = Object.create(type.prototype) as object;
  for (const [key, value] of Object.entries(data)) {
    if (key !== '__proto__') {
      defineProperty(instance, key, value);
    }
  }
  return restoreConstructor(instance, type);
}

function isVersion(version: unknown): version is number {
  return typeof version === 'number' && Number.isSafeInteger(version) && version > 0;
}
