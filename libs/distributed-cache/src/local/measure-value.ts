/** What a walk over a value found out. */
export interface Measure {
  /** Estimated heap in bytes (V8, 64 bit): an estimate, since no API tells. */
  readonly bytes: number;
  /** Whether something in it can be changed although it is frozen: a Map, Set, Date, Buffer, typed array, URL, RegExp. */
  readonly unfreezable: boolean;
  /** Every object in it, itself included. */
  readonly objects: ReadonlySet<object>;
}

const NO_OBJECTS: ReadonlySet<object> = new Set();

const POINTER_BYTES = 8;
const OBJECT_BYTES = 24;
const ARRAY_BYTES = 32;
const STRING_BYTES = 16;
const HEAP_NUMBER_BYTES = 16;
const TABLE_BYTES = 120;
const TABLE_SLOT_BYTES = 36;
const BUFFER_BYTES = 200;
const OPAQUE_BYTES = 160;
const BEYOND_LATIN1 = /[\u0100-\uffff]/;

/** Walks `value` once, each object once, cycles and shared parts included, without recursion. */
export function measureValue(value: unknown): Measure {
  if (typeof value !== 'object' || value === null) {
    return { bytes: primitiveBytes(value), unfreezable: false, objects: NO_OBJECTS };
  }
  const seen = new Set<object>([value]);
  const waiting: object[] = [value];
  let bytes = 0;
  let unfreezable = false;
  const count = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) {
      bytes += primitiveBytes(part);
    } else if (!seen.has(part)) {
      seen.add(part);
      waiting.push(part);
    }
  };
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    if (Array.isArray(part)) {
      bytes += ARRAY_BYTES + part.length * POINTER_BYTES;
      part.forEach(count);
    } else if (part instanceof Map) {
      unfreezable = true;
      bytes += TABLE_BYTES + part.size * TABLE_SLOT_BYTES;
      for (const [key, held] of part) {
        count(key);
        count(held);
      }
    } else if (part instanceof Set) {
      unfreezable = true;
      bytes += TABLE_BYTES + part.size * TABLE_SLOT_BYTES;
      part.forEach(count);
    } else if (ArrayBuffer.isView(part) || part instanceof ArrayBuffer) {
      unfreezable = true;
      bytes += BUFFER_BYTES + part.byteLength;
    } else if (isOpaque(part)) {
      unfreezable = true;
      bytes += OPAQUE_BYTES;
    } else {
      const parts = heldBy(part);
      bytes += OBJECT_BYTES + parts.length * POINTER_BYTES;
      parts.forEach(count);
    }
  }
  return { bytes, unfreezable, objects: seen };
}

/** Objects whose state lies in internal slots, out of reach of `Object.freeze`. */
export function isOpaque(value: object): value is Date | URL | RegExp {
  return value instanceof Date || value instanceof URL || value instanceof RegExp;
}

/** An error's own facts (`cause`, `errors`, ...) are not enumerable. */
function heldBy(value: object): unknown[] {
  return value instanceof Error
    ? Object.getOwnPropertyNames(value).map((name) => (value as unknown as Record<string, unknown>)[name])
    : Object.values(value);
}

/** Heap of a primitive beyond the slot that holds it. */
export function primitiveBytes(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return STRING_BYTES + roundUp(value.length * (BEYOND_LATIN1.test(value) ? 2 : 1));
    case 'number':
      return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? 0 : HEAP_NUMBER_BYTES;
    case 'bigint':
      return HEAP_NUMBER_BYTES + roundUp(value.toString(16).length / 2);
    default:
      return 0;
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / POINTER_BYTES) * POINTER_BYTES;
}
