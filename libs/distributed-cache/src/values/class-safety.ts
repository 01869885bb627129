import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { isAccessor, isNative, isObjectPrototype } from './kinds.js';
import { propertyStep } from './refusal.js';

/*
 * Finds the state of instances that their properties don't show: `#private` fields, the content of a built-in that the
 * class extends, properties that are not enumerable. The source of the class shows it. Two questions depend on it:
 *
 * - Can a cached instance be restored from its properties, without a run of its constructor, as an object with the
 *   prototype of the class and with the stored properties (`classProblem`, `instanceProblem`)?
 * - Can an argument be written into a key by its properties, because a method can't tell two instances with equal
 *   properties apart (`hiddenStateOf`, `hiddenStateIn`)?
 */

/**
 * A private field or method in use: `this.#total`, `return #total in other`. A comment or text with such words counts
 * too: the class is then refused, and the message says what to write.
 */
const PRIVATE_NAME = /\.\s*#[\p{ID_Start}$_\\]|(?:[(!&|=?:,]|\breturn)\s*#[\p{ID_Continue}$]+\s+in\b/u;
/** The calls that TypeScript, Babel, SWC and esbuild write for a private field when they compile for an older target. */
const COMPILED_PRIVATE_NAME =
  /__classPrivateField|_classPrivate|_class_private_|__private(?:Get|Set|Add|Method|In)\b|\(this,[^()]*,\s*["'][afm]["']\)/;
/**
 * State in a `WeakMap` of the module that can't be made anew: `return states.get(this)`, `states.get(this).total`. A
 * result that is only remembered there can be (`names.get(this) ?? this.makeName()`): the ids of MongoDB do that.
 */
const STATE_IN_WEAK_MAP = /\breturn\s+[\w$.]+\.get\(\s*this\s*\)\s*[;}]|\.get\(\s*this\s*\)\s*\./;

/**
 * A name that belongs to one class in every process and every build: as classes are named, and not as short as a
 * minifier makes them. A library that makes classes at run time gives all of them one name in small letters: the
 * documents of all Mongoose models are instances of `model`.
 */
const NAME_OF_ONE_CLASS = /^[_$]*\p{Lu}[\p{ID_Continue}$]{2,}$/u;

/** Why no instance of the class with this prototype can be restored from its properties; `undefined`: it can. */
export function classProblem(prototype: object): string | undefined {
  for (let level = prototype; !isObjectPrototype(level);) {
    const problem = levelProblem(level);
    if (problem !== undefined) {
      return level === prototype ? problem : `${problem} (in a class that it extends)`;
    }
    const next: unknown = Object.getPrototypeOf(level);
    if (typeof next !== 'object' || next === null) {
      return 'its prototypes do not end at Object.prototype';
    }
    level = next;
  }
  return undefined;
}

function levelProblem(prototype: object): string | undefined {
  const type: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  if (typeof type !== 'function' || type.prototype !== prototype) {
    return 'its prototype is not that of a class';
  }
  if (isNative(type)) {
    return `it extends the built-in ${type.name}`;
  }
  return privateStateOf(type, prototype);
}

/** How a class keeps state that the properties of its instances don't show; `undefined` if its source shows nothing. */
function privateStateOf(type: object, prototype: object): string | undefined {
  const source = sourceOf(type, prototype);
  if (PRIVATE_NAME.test(source) || COMPILED_PRIVATE_NAME.test(source)) {
    return 'it has #private fields or methods';
  }
  return STATE_IN_WEAK_MAP.test(source) ? 'it keeps state in a WeakMap' : undefined;
}

/** The source text of a class. The methods of an older class are not in the text of its constructor. */
function sourceOf(type: object, prototype: object): string {
  const text = Function.prototype.toString.call(type);
  return text.startsWith('class') ? text : [text, ...methodTexts(prototype)].join('\n');
}

function methodTexts(prototype: object): string[] {
  return Object.values(Object.getOwnPropertyDescriptors(prototype))
    .flatMap((descriptor): unknown[] => Object.values(descriptor))
    .filter((member) => typeof member === 'function')
    .map((method) => Function.prototype.toString.call(method));
}

/**
 * A short text that differs between classes of one name: a hash of their source, and that of the classes that they
 * extend. Two processes may know two classes of one name, and an entry must not come back as an instance of the other.
 */
export function fingerprintOf(prototype: object): string {
  const hash = createHash('sha256');
  for (let level = prototype; !isObjectPrototype(level); level = Object.getPrototypeOf(level) as object) {
    hash.update(sourceOf(level.constructor, level));
  }
  return hash.digest('hex').slice(0, FINGERPRINT_LENGTH);
}

const FINGERPRINT_LENGTH = 8;

/**
 * Why an instance without a property may still have state, although the source of its class shows none: the class hands
 * `this` to a function. The classes of Temporal do that: their state is in a `WeakMap` of another module. A class that
 * never does so has no state (`SystemZone` of Luxon, a null object).
 */
export function emptinessProblem(instance: object): string | undefined {
  if (Reflect.ownKeys(instance).length > 0) {
    return undefined;
  }
  for (let level = prototypeOf(instance); level !== null && !isObjectPrototype(level); level = prototypeOf(level)) {
    if (methodTexts(level).some((text) => HANDED_ON.test(text))) {
      return 'it has no property, and its class hands it to functions: its state may be elsewhere';
    }
  }
  return undefined;
}

/** `this` among the arguments of a call, or in a list. */
const HANDED_ON = /[(,[]\s*this\s*[,)\]]/;

function prototypeOf(object: object): object | null {
  return Object.getPrototypeOf(object) as object | null;
}

/** Why this one instance of a class can't be restored from its enumerable properties; `undefined`: it can. */
export function instanceProblem(instance: object, type: object): string | undefined {
  if (Object.getOwnPropertySymbols(instance).length > 0) {
    return 'it has a property under a symbol';
  }
  const names = Object.keys(instance);
  const all = Object.getOwnPropertyNames(instance);
  if (all.length !== names.length) {
    const hidden = all.find((name) => !names.includes(name)) ?? '';
    return `its property ${propertyStep(hidden)} is not enumerable`;
  }
  for (const name of names) {
    const value = (instance as Record<string, unknown>)[name];
    if (isAccessor(instance, name, value)) {
      return 'it has an accessor of its own';
    }
    if (typeof value === 'function' && (name !== 'constructor' || value !== type)) {
      return name === 'constructor'
        ? 'its constructor is not that of its prototype'
        : 'one of its properties is a function';
    }
  }
  return undefined;
}

/**
 * The class that an instance names in a property of its own, as decimal.js and big.js do it. The clones of such a class
 * (`Decimal.clone`) have settings of their own and share one prototype, so only this property tells them apart.
 */
export function ownConstructorOf(instance: object): object | undefined {
  return Object.hasOwn(instance, 'constructor') && typeof instance.constructor === 'function'
    ? instance.constructor
    : undefined;
}

const namesItself = new WeakMap<object, boolean>();

/** Whether a class gives each instance a property `constructor`. */
function givesConstructor(type: object): boolean {
  let gives = namesItself.get(type);
  if (gives === undefined) {
    gives = /\.constructor\s*=[^=]/.test(Function.prototype.toString.call(type));
    namesItself.set(type, gives);
  }
  return gives;
}

/** The own enumerable properties of an instance of a class, without a `constructor` that is this class. */
export function dataOfInstance(instance: object, type: object): Record<string, unknown> {
  const data: Record<string, unknown> = { ...instance };
  if (ownConstructorOf(instance) === type) {
    delete data['constructor'];
  }
  return data;
}

/** Gives a restored instance the property that {@link dataOfInstance} leaves out. */
export function restoreConstructor(instance: object, type: object): object {
  return typeof type === 'function' && givesConstructor(type)
    ? Object.defineProperty(instance, 'constructor', {
        value: type,
        enumerable: true,
        writable: true,
        configurable: true,
      })
    : instance;
}

/** Why a class can't be stored under its own name; `undefined`: it can. */
export function nameProblem(name: string): string | undefined {
  if (name === '') {
    return 'its class has no name';
  }
  return NAME_OF_ONE_CLASS.test(name) && name !== 'Object'
    ? undefined
    : 'the name of its class may belong to another class in another process or build';
}

/** A private field in the source of a class, or a call of the helpers by which compilers replace private fields. */
const PRIVATE_FIELD = /#[\p{ID_Start}$_]|class_?private_?(?:field|method)/iu;

/** The results of {@link lookForHiddenState} by prototype; `null` for those of plain data. */
const hiddenStates = new WeakMap<object, string | null>();

/**
 * Why instances of a class are not plain data, as far as the class itself shows it: `undefined` if it shows nothing.
 * @param prototype the prototype of the instances
 */
export function hiddenStateOf(prototype: object): string | undefined {
  let reason = hiddenStates.get(prototype);
  if (reason === undefined) {
    reason = lookForHiddenState(prototype) ?? null;
    hiddenStates.set(prototype, reason);
  }
  return reason ?? undefined;
}

/** Why this instance is not plain data; `undefined` if it is. The values of its properties are not looked at. */
export function hiddenStateIn(instance: object): string | undefined {
  const prototype = Reflect.getPrototypeOf(instance);
  const ofClass = prototype === null ? NO_CLASS : (hiddenStateOf(prototype) ?? emptinessProblem(instance));
  if (ofClass !== undefined) {
    return ofClass;
  }
  for (const name of Reflect.ownKeys(instance)) {
    const property = Reflect.getOwnPropertyDescriptor(instance, name);
    if (property?.enumerable === false) {
      return 'it has a property that is not enumerable';
    }
    if (property?.get !== undefined || property?.set !== undefined) {
      return 'it has an accessor of its own';
    }
  }
  return undefined;
}

const NO_CLASS = 'it is made by no class';

function lookForHiddenState(prototype: object): string | undefined {
  if (isOrExtends(prototype, EventEmitter.prototype) || isOrExtends(prototype, EventTarget.prototype)) {
    return 'it emits events';
  }
  let current = prototype;
  do {
    const owner: unknown = Reflect.getOwnPropertyDescriptor(current, 'constructor')?.value;
    if (typeof owner !== 'function' || owner.prototype !== current) {
      return NO_CLASS;
    }
    if (isNative(owner)) {
      return 'it is, or extends, a built-in object';
    }
    if (PRIVATE_FIELD.test(Function.prototype.toString.call(owner))) {
      return 'its class has a private field (#)';
    }
    const privateState = privateStateOf(owner, current);
    if (privateState !== undefined) {
      return privateState;
    }
    const next = Reflect.getPrototypeOf(current);
    if (next === null) {
      return NO_CLASS;
    }
    current = next;
  } while (!isObjectPrototype(current));
  return undefined;
}

function isOrExtends(prototype: object, ancestor: object): boolean {
  return prototype === ancestor || Object.prototype.isPrototypeOf.call(ancestor, prototype);
}
