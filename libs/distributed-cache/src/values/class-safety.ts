import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { defineProperty, isNative, isObjectPrototype } from './kinds.js';
import { propertyStep } from './refusal.js';

/*
 * Finds the state of instances that their properties don't show: `#private` fields, the content of a built-in that the
 * class extends, properties that are not enumerable. The source of the class shows it. Two questions depend on it:
 *
 * - Can a cached instance be restored from its properties, without a run of its constructor, as an object with the
 *   prototype of the class and with the stored properties (`classProblem`, `instanceProblem`)?
 * - Can an argument be written into a key by its properties, because a method can't tell two instances with equal
 *   properties apart (`hiddenStateOf`, `hiddenStateIn`)?
 *
 * Each function returns the reason against it, or `undefined`.
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

/** The results of {@link classProblem} by prototype; `null`: there is none. */
const classProblems = new WeakMap<object, string | null>();

/** Why no instance of the class with this prototype can be restored from its properties. */
export function classProblem(prototype: object): string | undefined {
  let problem = classProblems.get(prototype);
  if (problem === undefined) {
    problem = lookForProblem(prototype) ?? null;
    classProblems.set(prototype, problem);
  }
  return problem ?? undefined;
}

function lookForProblem(prototype: object): string | undefined {
  for (let level = prototype; !isObjectPrototype(level);) {
    const problem = levelProblem(level);
    if (problem !== undefined) {
      return level === prototype ? problem : `${problem} (in a class that it extends)`;
    }
    const next = prototypeOf(level);
    if (next === null) {
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
    return `it is, or extends, the built-in ${type.name}`;
  }
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

/** Why this one instance of a class can't be restored from its enumerable properties. */
export function instanceProblem(instance: object, type: object): string | undefined {
  const hidden = hiddenPropertyOf(instance);
  if (hidden !== undefined) {
    return hidden;
  }
  for (const [name, value] of Object.entries(instance) as [string, unknown][]) {
    if (typeof value === 'function' && (name !== 'constructor' || value !== type)) {
      return name === 'constructor'
        ? 'its constructor is not that of its prototype'
        : 'one of its properties is a function';
    }
  }
  return undefined;
}

/** Which property of an instance is not one of plain data. */
function hiddenPropertyOf(instance: object): string | undefined {
  if (Object.getOwnPropertySymbols(instance).length > 0) {
    return 'it has a property under a symbol';
  }
  const names = Object.keys(instance);
  const all = Object.getOwnPropertyNames(instance);
  if (all.length !== names.length) {
    const hidden = all.find((name) => !names.includes(name)) ?? '';
    return `its property ${propertyStep(hidden)} is not enumerable`;
  }
  const isAccessor = (name: string) => Object.getOwnPropertyDescriptor(instance, name)?.writable === undefined;
  return names.some(isAccessor) ? 'it has an accessor of its own' : undefined;
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
  if (typeof type === 'function' && givesConstructor(type)) {
    defineProperty(instance, 'constructor', type);
  }
  return instance;
}

/** Why a class can't be stored under its own name. */
export function nameProblem(name: string): string | undefined {
  if (name === '') {
    return 'its class has no name';
  }
  return NAME_OF_ONE_CLASS.test(name) && name !== 'Object'
    ? undefined
    : 'the name of its class may belong to another class in another process or build';
}

const NO_CLASS = 'it is made by no class';

/**
 * Why instances of a class are not plain data, as far as the class itself shows it.
 * @param prototype the prototype of the instances
 */
export function hiddenStateOf(prototype: object): string | undefined {
  if (isOrExtends(prototype, EventEmitter.prototype) || isOrExtends(prototype, EventTarget.prototype)) {
    return 'it emits events';
  }
  return isObjectPrototype(prototype) ? NO_CLASS : classProblem(prototype);
}

/** Why this instance is not plain data. The values of its properties are not looked at. */
export function hiddenStateIn(instance: object): string | undefined {
  const prototype = prototypeOf(instance);
  const ofClass = prototype === null ? NO_CLASS : hiddenStateOf(prototype);
  return ofClass ?? emptinessProblem(instance) ?? hiddenPropertyOf(instance);
}

function isOrExtends(prototype: object, ancestor: object): boolean {
  return prototype === ancestor || Object.prototype.isPrototypeOf.call(ancestor, prototype);
}
