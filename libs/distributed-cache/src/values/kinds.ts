import { Stream } from 'node:stream';
import { types } from 'node:util';

/**
 * The kinds of values that the codec distinguishes. `instance` is an object of an unknown class; `opaque` is an object
 * whose state can't be seen from outside (a promise, a stream, a WeakMap, a platform object such as a Blob).
 */
type ValueKind =
  | 'array'
  | 'plain'
  | 'null-prototype'
  | 'date'
  | 'regexp'
  | 'map'
  | 'set'
  | 'buffer'
  | 'view'
  | 'array-buffer'
  | 'url'
  | 'error'
  | 'boxed'
  | 'instance'
  | 'opaque';

/**
 * The kind of an object. It is decided by internal slots rather than prototypes when possible: test runners and
 * `node:vm` pass objects whose `Date` and `Object` belong to another realm, and a prototype is easily forged.
 */
export function kindOf(value: object): ValueKind {
  if (Array.isArray(value)) {
    return 'array';
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype) {
    return 'plain';
  }
  return prototype === null ? 'null-prototype' : kindOfRare(value, prototype);
}

function kindOfRare(value: object, prototype: unknown): ValueKind {
  if (types.isDate(value)) {
    return 'date';
  }
  if (types.isMap(value)) {
    return 'map';
  }
  if (types.isSet(value)) {
    return 'set';
  }
  if (ArrayBuffer.isView(value)) {
    return Buffer.isBuffer(value) ? 'buffer' : 'view';
  }
  if (types.isArrayBuffer(value)) {
    return 'array-buffer';
  }
  if (types.isRegExp(value)) {
    return 'regexp';
  }
  if (value instanceof URL || value instanceof URLSearchParams) {
    return 'url';
  }
  if (isError(value)) {
    return 'error';
  }
  if (types.isBoxedPrimitive(value)) {
    return 'boxed';
  }
  if (isOpaque(value)) {
    return 'opaque';
  }
  return isObjectPrototypeOfAnotherRealm(prototype) ? 'plain' : 'instance';
}

/**
 * Whether the state of an object can't be seen from outside. A platform object names itself (`[object Blob]`) and keeps
 * its state in private or symbol fields: as a plain object it would be `{}`, a silent loss. A thenable is a promise or
 * a query builder that would run when awaited.
 */
function isOpaque(value: object): boolean {
  return (
    types.isPromise(value) ||
    value instanceof Stream ||
    ('then' in value && typeof value.then === 'function') ||
    (Object.prototype.toString.call(value) !== '[object Object]' &&
      Object.keys(value).length === 0 &&
      !hasToJson(value))
  );
}

/** Whether this is the `Object.prototype` of this or another realm. */
export function isObjectPrototype(prototype: object): boolean {
  return prototype === Object.prototype || isObjectPrototypeOfAnotherRealm(prototype);
}

/** Whether a function or class is part of the language or the platform. */
export function isNative(type: object): boolean {
  return /\{\s*\[native code\]\s*\}\s*$/.test(Function.prototype.toString.call(type));
}

function isObjectPrototypeOfAnotherRealm(prototype: unknown): boolean {
  return isObject(prototype) && Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');
}

/** Whether a value is an object: an array or an instance of a class is one, too; `null` and a function are none. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error;
}

/**
 * Whether an object has a `toJSON`. `Date`, `URL` and `Buffer` have one too: use it only for kinds that have no form of
 * their own here.
 */
export function hasToJson(value: object & { readonly toJSON?: unknown }): boolean {
  return typeof value.toJSON === 'function';
}

const TYPED_ARRAY_PROTOTYPE: unknown = Object.getPrototypeOf(Uint8Array.prototype);

const STANDARD_PROTOTYPES: ReadonlySet<unknown> = new Set(
  [Date, RegExp, Map, Set, ArrayBuffer, DataView, URL, URLSearchParams, Buffer].map((type) => type.prototype),
);

/**
 * Whether a built-in is restored with the very prototype that it has now: a subclass or another realm's type is not.
 */
export function hasStandardPrototype(builtIn: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(builtIn);
  return STANDARD_PROTOTYPES.has(prototype) || Object.getPrototypeOf(prototype) === TYPED_ARRAY_PROTOTYPE;
}

/** Whether an object belongs to a class of the application, which may extend a built-in. */
export function isOfOwnClass(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  const type = isObject(prototype) ? prototype.constructor : undefined;
  return prototype !== null && !(typeof type === 'function' && isNative(type)) && !hasStandardPrototype(object);
}

/**
 * A type for messages: "a Promise", "an Agent". A class name is code, not data, and is shown only if it looks like one.
 */
export function describeType(value: unknown): string {
  if (!isObject(value)) {
    return `a ${typeof value}`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  const type = isObject(prototype) ? prototype.constructor : undefined;
  const name = typeof type === 'function' && /^[A-Za-z_$][\w$]{0,60}$/.test(type.name) ? type.name : 'object';
  return `${/^(?:[aeio]|u(?!s|ni|u))/i.test(name) ? 'an' : 'a'} ${name}`;
}

/** Objects whose state lies in internal slots, out of reach of `Object.freeze`. */
export function hasInternalSlots(value: object): value is Date | URL | URLSearchParams | RegExp {
  return value instanceof Date || value instanceof URL || value instanceof RegExp || value instanceof URLSearchParams;
}

const BARE = {};

/** Whether `Object.prototype` has been given properties: every object seems to have them. */
export function isPrototypeExtended(): boolean {
  for (const _name in BARE) {
    return true;
  }
  return false;
}

/** Defines an own property. An assignment would run the setter of a prototype, or, for `__proto__`, replace it. */
export function defineProperty(object: object, name: string, value: unknown, enumerable = true): void {
  Object.defineProperty(object, name, { value, enumerable, configurable: true, writable: true });
}

/** Whether an object has properties under symbols that a copy of it would have, too. */
export function hasEnumerableSymbols(object: object): boolean {
  return Object.getOwnPropertySymbols(object).some((key) => Object.prototype.propertyIsEnumerable.call(object, key));
}

type LookupGetter = (this: object, key: string) => unknown;

const lookupGetter = Reflect.get(Object.prototype, '__lookupGetter__') as LookupGetter;

/**
 * Whether an own property is computed. The check does not read its descriptor, which would allocate an object for every
 * property of every value written: asking for its getter (ECMA-262, annex B) takes a quarter of the time. A property
 * that has only a setter reads as `undefined`.
 */
export function isAccessor(object: object, key: string, value: unknown): boolean {
  return (
    lookupGetter.call(object, key) !== undefined ||
    (value === undefined && Object.getOwnPropertyDescriptor(object, key)?.set !== undefined)
  );
}
