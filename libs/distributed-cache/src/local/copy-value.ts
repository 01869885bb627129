import { isOpaque } from './measure-value.js';

/**
 * A deep copy of cached data: what `structuredClone` does, plus `URL`, minus its cost for plain objects. Shared references
 * and cycles stay what they are; objects of other classes keep their prototype.
 */
export function copyValue<Value>(value: Value): Value {
  return copyPart(value, new Map()) as Value;
}

function copyPart(value: unknown, copies: Map<object, object>): unknown {
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const known = copies.get(value);
  if (known !== undefined) {
    return known;
  }
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    copy.length = value.length; // holes stay holes
    copies.set(value, copy);
    value.forEach((part, index) => {
      copy[index] = copyPart(part, copies);
    });
    return copy;
  }
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>();
    copies.set(value, copy);
    for (const [key, held] of value) {
      copy.set(copyPart(key, copies), copyPart(held, copies));
    }
    return copy;
  }
  if (value instanceof Set) {
    const copy = new Set<unknown>();
    copies.set(value, copy);
    for (const held of value) {
      copy.add(copyPart(held, copies));
    }
    return copy;
  }
  const copy = copyOpaque(value, copies) ?? Object.create(Object.getPrototypeOf(value) as object | null);
  copies.set(value, copy);
  if (copy instanceof Error) {
    copyErrorParts(value as Error, copy, copies);
  }
  if (!ArrayBuffer.isView(copy) && !(copy instanceof ArrayBuffer)) {
    for (const [name, part] of Object.entries(value)) {
      Object.defineProperty(copy, name, {
        value: copyPart(part, copies),
        configurable: true,
        enumerable: true,
        writable: true,
      });
    }
  }
  return copy;
}

function copyOpaque(value: object, copies: Map<object, object>): object | undefined {
  if (Buffer.isBuffer(value)) {
    return Buffer.from(value); // structuredClone would make it a Uint8Array
  }
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    const length = value instanceof DataView ? byteLength : (value as Uint8Array).length;
    const Type = value.constructor as new (buffer: ArrayBufferLike, byteOffset: number, length: number) => object;
    const whole = byteOffset === 0 && byteLength === buffer.byteLength;
    // Only the part that is seen: a view of a pooled buffer must not copy the pool.
    return whole
      ? new Type(copyPart(buffer, copies) as ArrayBuffer, 0, length)
      : new Type(buffer.slice(byteOffset, byteOffset + byteLength), 0, length);
  }
  if (value instanceof ArrayBuffer) {
    return value.slice(0);
  }
  if (isOpaque(value)) {
    return value instanceof Date ? new Date(value) : value instanceof URL ? new URL(value) : new RegExp(value);
  }
  return undefined;
}

/** An error's own facts are not enumerable, so copying the enumerable ones would lose them. */
function copyErrorParts(from: Error, to: Error, copies: Map<object, object>): void {
  for (const name of ['name', 'message', 'stack', 'cause', 'errors'] as const) {
    const descriptor = Object.getOwnPropertyDescriptor(from, name);
    if (descriptor !== undefined && 'value' in descriptor) {
      Object.defineProperty(to, name, {
        ...descriptor,
        value: copyPart(descriptor.value, copies),
        writable: true,
        configurable: true,
      });
    }
  }
}
