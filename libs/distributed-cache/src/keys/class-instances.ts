import { EventEmitter } from 'node:events';
import { emptinessProblem, isNative, isObjectPrototype, privateStateOf } from '../values/index.js';

/*
 * Decides which instances of classes are plain data: all of their state is in own enumerable properties, so that two
 * instances with equal properties can't be told apart by a method that gets them. The state of other instances can't be
 * seen from outside: private fields, the inner state of built-in objects, properties that are not enumerable.
 */

/** A private field in the source of a class, or a call of the helpers by which compilers replace private fields. */
const PRIVATE_FIELD = /#[\p{ID_Start}$_]|class_?private_?(?:field|method)/iu;

/** The reasons of the prototypes that were looked at, `null` for those of plain data. */
const known = new WeakMap<object, string | null>();

/**
 * Why instances of a class are not plain data, as far as the class itself shows it: `undefined` if it shows nothing.
 * @param prototype the prototype of the instances
 */
export function hiddenStateOf(prototype: object): string | undefined {
  let reason = known.get(prototype);
  if (reason === undefined) {
    reason = lookForHiddenState(prototype) ?? null;
    known.set(prototype, reason);
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
