import { defineProperty, hasInternalSlots } from './kinds.js';
import { flatText } from './measure.js';

type CopyOf = (part: unknown) => unknown;

/**
 * Copies an object that only its class can copy (it has private state); `undefined` when a copy of its properties is
 * enough.
 */
export type CopyInstance = (instance: object) => object | undefined;

/**
 * A deep copy of cached data. It is faster than `structuredClone` for plain objects, and copies `URL` and
 * `URLSearchParams` too. Shared references and cycles are preserved; objects of other classes keep their prototype. It
 * does not recurse, so no depth overflows the stack: each object gets an empty copy when it is first met, which is
 * filled later.
 * @param toKeep whether the copy is stored: texts and small buffers then get memory of their own, instead of a part of
 * shared memory
 * @param freezes whether the objects of the copy are frozen, except those that can be changed although they are frozen
 */
export function copyValue<Value>(
  value: Value,
  {
    toKeep = false,
    freezes = false,
    copyInstance,
  }: { readonly toKeep?: boolean; readonly freezes?: boolean; readonly copyInstance?: CopyInstance | undefined } = {},
): Value {
  const copies = new Map<object, object>();
  const unfilled: object[] = [];
  const copyOf: CopyOf = (part) => {
    if (typeof part !== 'object' || part === null) {
      return toKeep && typeof part === 'string' ? flatText(part) : part;
    }
    let copy = copies.get(part);
    if (copy === undefined) {
      const whole = copyInstance?.(part);
      copy = whole ?? emptyCopy(part, copyOf, toKeep);
      copies.set(part, copy);
      if (whole === undefined) {
        unfilled.push(part);
      }
    }
    return copy;
  };
  const root = copyOf(value);
  for (let part = unfilled.pop(); part !== undefined; part = unfilled.pop()) {
    fill(copies.get(part) ?? {}, part, copyOf);
  }
  if (freezes) {
    copies.forEach(freezeIfPossible);
  }
  return root as Value;
}

/**
 * Views refuse to be frozen. The other built-ins keep their state elsewhere, and a frozen RegExp with the flag `g` throws
 * when it is used.
 */
function freezeIfPossible(copy: object): void {
  if (!ArrayBuffer.isView(copy) && !hasInternalSlots(copy)) {
    Object.freeze(copy);
  }
}

function emptyCopy(value: object, copyOf: CopyOf, toKeep: boolean): object {
  if (Array.isArray(value)) {
    return emptyArray(value);
  }
  if (value instanceof Map) {
    return new Map();
  }
  if (value instanceof Set) {
    return new Set();
  }
  if (value instanceof Error) {
    // A real error: an object that only inherits from `Error` is not one for `structuredClone` and debuggers.
    return Object.setPrototypeOf(new Error(), Object.getPrototypeOf(value) as object | null) as object;
  }
  if (Object.getPrototypeOf(value) === Object.prototype) {
    return { ...value }; // with the same hidden class; its contents are replaced later
  }
  return copyOfBytes(value, copyOf, toKeep) ?? copyOfOpaque(value) ?? emptyLike(value);
}

/**
 * Holes stay holes. An array that is filled element by element would reserve room for 17 of them, so the copy has the
 * elements already, which are replaced later.
 */
function emptyArray(value: readonly unknown[]): unknown[] {
  if (Object.getPrototypeOf(value) === Array.prototype) {
    return value.slice();
  }
  const copy: unknown[] = [];
  copy.length = value.length;
  return copy;
}

function fill(copy: object, from: object, copyOf: CopyOf): void {
  if (Array.isArray(from)) {
    from.forEach((part, index) => ((copy as unknown[])[index] = copyOf(part)));
  } else if (from instanceof Map) {
    from.forEach((held, key) => (copy as Map<unknown, unknown>).set(copyOf(key), copyOf(held)));
  } else if (from instanceof Set) {
    from.forEach((held) => (copy as Set<unknown>).add(copyOf(held)));
  } else if (from instanceof Error) {
    fillError(copy, from, copyOf);
  } else if (!ArrayBuffer.isView(from) && !(from instanceof ArrayBuffer)) {
    const isSpread = Object.getPrototypeOf(from) === Object.prototype;
    for (const [name, part] of Object.entries(from)) {
      if (!isSpread || typeof part === 'string' || (typeof part === 'object' && part !== null)) {
        defineProperty(copy, name, copyOf(part));
      }
    }
  }
}

function emptyLike(value: object): object {
  return Object.create(Object.getPrototypeOf(value) as object | null) as object;
}

function copyOfBytes(value: object, copyOf: CopyOf, toKeep: boolean): object | undefined {
  if (Buffer.isBuffer(value)) {
    // structuredClone would make it a Uint8Array. A small buffer is a part of a shared pool of 8 KB, and keeps the pool
    // alive.
    const copy = toKeep ? Buffer.allocUnsafeSlow(value.length) : Buffer.allocUnsafe(value.length);
    copy.set(value);
    return copy;
  }
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    const length = value instanceof DataView ? byteLength : (value as Uint8Array).length;
    const Type = value.constructor as new (buffer: ArrayBufferLike, byteOffset: number, length: number) => object;
    const whole = byteOffset === 0 && byteLength === buffer.byteLength && buffer instanceof ArrayBuffer;
    // Only the visible part: a view of a pooled buffer must not copy the pool. The copy of shared memory is not shared.
    return whole
      ? new Type(copyOf(buffer) as ArrayBuffer, 0, length)
      : new Type(new Uint8Array(buffer, byteOffset, byteLength).slice().buffer, 0, length);
  }
  return value instanceof ArrayBuffer ? value.slice(0) : undefined;
}

function copyOfOpaque(value: object): object | undefined {
  if (!hasInternalSlots(value)) {
    return undefined;
  }
  if (value instanceof Date) {
    return new Date(value);
  }
  if (value instanceof RegExp) {
    return new RegExp(value);
  }
  return value instanceof URL ? new URL(value) : new URLSearchParams(value);
}

/**
 * Copies the properties of an error. Its standard ones are not enumerable, so a copy of the enumerable ones would lose
 * them.
 */
function fillError(copy: object, from: Error, copyOf: CopyOf): void {
  Reflect.deleteProperty(copy, 'stack'); // the stack of the copy would name the wrong place
  for (const name of Object.getOwnPropertyNames(from)) {
    const part = (from as unknown as Record<string, unknown>)[name];
    defineProperty(copy, name, copyOf(part), Object.prototype.propertyIsEnumerable.call(from, name));
  }
}
