import { isDeepStrictEqual, types } from 'node:util';
import { describe, expect, it } from 'vitest';
import { copyValue } from './copy.js';

class Money {
  constructor(readonly cents: number) {}
  get euros(): number {
    return this.cents / 100;
  }
}

class LateError extends Error {
  override readonly name = 'LateError';
  constructor(readonly minutes: number) {
    super(`${minutes} minutes late`);
  }
}

/** Everything that promise 8 names, and a little more. Each makes a new one. */
const VALUES: readonly (readonly [name: string, make: () => unknown])[] = [
  ['a plain object', () => ({ a: 1, nested: { b: [1, 'x', null] } })],
  ['a Date', () => new Date(1234)],
  ['a Map with object keys', () => new Map<unknown, unknown>([[{ key: 1 }, { held: 1 }]])],
  ['a Set', () => new Set<unknown>(['a', { b: 1 }])],
  ['a BigInt in an object', () => ({ big: 2n ** 80n })],
  ['a Buffer', () => Buffer.from('bytes')],
  ['a Uint8Array', () => Uint8Array.of(1, 2, 3)],
  ['a Float64Array', () => Float64Array.of(1.5, -0, NaN)],
  ['a BigInt64Array', () => BigInt64Array.of(-1n)],
  ['an ArrayBuffer', () => Uint8Array.of(1, 2).buffer],
  ['a DataView', () => new DataView(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2)],
  ['a URL', () => new URL('https://example.org/a?b=c#d')],
  ['the parameters of a URL', () => new URLSearchParams('a=1&a=2')],
  ['a RegExp', () => /a+/giu],
  ['an Error with a cause', () => new Error('outer', { cause: { code: new Error('inner') } })],
  ['an AggregateError', () => new AggregateError([new TypeError('a'), 'b'], 'both')],
  ['an Error of a class', () => new LateError(5)],
  ['odd numbers', () => ({ nan: NaN, infinite: Infinity, minus: -Infinity, zero: -0 })],
  ['undefined inside an object', () => ({ here: undefined })],
  ['an empty object and array', () => [{}, []]],
  ['an object without prototype', () => Object.assign(Object.create(null) as object, { a: { b: 1 } })],
  ['an instance of a class', () => ({ price: new Money(1999) })],
  ['a key that looks like the prototype', () => JSON.parse('{"__proto__":{"polluted":true}}') as unknown],
];

describe('copyValue', () => {
  it('copies an invalid Date', () => {
    expect(copyValue(new Date(NaN))).toEqual(new Date(NaN));
  });

  it.each(VALUES)('copies %s', (_name, make) => {
    const value = make();
    const copy = copyValue(value);
    expect(isDeepStrictEqual(copy, value)).toBe(true);
    expect(copy).toEqual(value);
    expect(copy).not.toBe(value);
    expect(sharedObjects(copy, value)).toEqual([]);
  });

  it.each([[undefined], [null], [0], [-0], [NaN], [''], ['text'], [true], [10n]])('returns %s itself', (value) => {
    expect(copyValue(value)).toBe(value);
  });

  it('keeps the classes of the objects that it copies', () => {
    const copy = copyValue({ price: new Money(1999), bytes: Buffer.from('a'), plain: Uint8Array.of(1) });
    expect(copy.price.euros).toBe(19.99);
    expect(Buffer.isBuffer(copy.bytes)).toBe(true);
    expect(Buffer.isBuffer(copy.plain)).toBe(false);
  });

  it('copies a view of shared memory into memory of its own', () => {
    const numbers = new Uint16Array(new SharedArrayBuffer(4)).fill(7);
    for (const view of [numbers, numbers.subarray(1)]) {
      const copy = copyValue(copyValue(view, { toKeep: true }));
      expect([...copy]).toEqual([...view]);
      expect(copy.buffer).toBeInstanceOf(ArrayBuffer);
    }
    const bytes = copyValue(copyValue(new DataView(numbers.buffer, 2, 2), { toKeep: true }));
    expect([bytes.byteOffset, bytes.byteLength, bytes.getUint16(0, true)]).toEqual([0, 2, 7]);
    expect(bytes.buffer).toBeInstanceOf(ArrayBuffer);
  });

  it('keeps shared references shared and cycles closed', () => {
    const shared = { list: [1] };
    const value: Record<string, unknown> = { a: shared, b: shared, in: new Map([[shared, new Set([shared])]]) };
    value['self'] = value;
    const copy = copyValue(value) as { a: object; b: object; self: object; in: Map<object, Set<object>> };
    expect(copy.self).toBe(copy);
    expect(copy.a).toBe(copy.b);
    expect(copy.a).not.toBe(shared);
    expect(copy.in.get(copy.a)?.has(copy.a)).toBe(true);
  });

  it('keeps two views of one buffer on one buffer', () => {
    const buffer = new ArrayBuffer(8);
    const copy = copyValue({ bytes: new Uint8Array(buffer), numbers: new Uint32Array(buffer) });
    copy.bytes[0] = 7;
    expect(copy.numbers[0]).toBe(7);
    expect(copy.bytes.buffer).not.toBe(buffer);
  });

  it('copies the bytes of a view of a pooled buffer, not the pool', () => {
    const pool = new ArrayBuffer(8192);
    const view = new Uint16Array(pool, 16, 3);
    view.set([1, 2, 3]);
    const copy = copyValue(view);
    expect([...copy]).toEqual([1, 2, 3]);
    expect(copy.buffer.byteLength).toBe(6);
    view[0] = 9;
    expect(copy[0]).toBe(1);
    const pooled = Buffer.from('pooled');
    expect(pooled.buffer.byteLength).toBeGreaterThan(pooled.length);
    const kept = copyValue(pooled);
    pooled.fill(0);
    expect(kept.toString()).toBe('pooled');
  });

  it('keeps the holes of an array', () => {
    const value: unknown[] = [, 1, , { a: 1 }, ,]; // oxlint-disable-line no-sparse-arrays
    const copy = copyValue(value);
    expect(copy).toHaveLength(5);
    expect(Object.keys(copy)).toEqual(['1', '3']);
    expect(copy[3]).not.toBe(value[3]);
  });

  it('makes real errors, with their stack, and adds no properties', () => {
    const error = Object.assign(new TypeError('wrong', { cause: { at: [1] } }), { field: { name: 'a' } });
    const copy = copyValue(error);
    expect(types.isNativeError(copy)).toBe(true);
    expect(copy).toBeInstanceOf(TypeError);
    expect(copy.stack).toBe(error.stack);
    expect(Object.keys(copy)).toEqual(['field']);
    expect(copy.field).not.toBe(error.field);
    expect(copy.cause).toEqual({ at: [1] });
    expect(copy.cause).not.toBe(error.cause);
    const bare = new Error();
    expect(Object.hasOwn(copyValue(bare), 'message')).toBe(false);
    expect(Object.hasOwn(copyValue(bare), 'cause')).toBe(false);
  });

  it('does not run a setter for a name like __proto__', () => {
    const copy = copyValue(JSON.parse('{"__proto__":{"polluted":true}}') as { polluted?: boolean });
    expect(copy.polluted).toBeUndefined();
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(Object.keys(copy)).toEqual(['__proto__']);
  });

  it('copies frozen values into ones that can be changed', () => {
    const copy = copyValue(Object.freeze({ list: Object.freeze([1]) as number[] }));
    copy.list.push(2);
    expect(copy).toEqual({ list: [1, 2] });
  });

  it.each([
    ['objects', 100_000, (inner: unknown) => ({ inner })],
    ['arrays', 100_000, (inner: unknown) => [inner]],
    ['maps', 100_000, (inner: unknown) => new Map([['inner', inner]])],
    ['errors', 10_000, (inner: unknown) => new Error('outer', { cause: inner })],
  ])('copies %s that are nested %i deep', (_name, deep, wrap) => {
    let value: unknown = 'core';
    for (let level = 0; level < deep; level++) {
      value = wrap(value);
    }
    let [copy, depth, sharedAt] = [copyValue(value), 0, -1];
    for (; typeof copy === 'object'; depth++, copy = innerOf(copy), value = innerOf(value)) {
      sharedAt = copy === value ? depth : sharedAt;
    }
    expect([depth, sharedAt]).toEqual([deep, -1]);
    expect(copy).toBe('core');
  });
});

function innerOf(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value[0];
  }
  if (value instanceof Error) {
    return value.cause;
  }
  return value instanceof Map ? value.get('inner') : (value as { inner: unknown }).inner;
}

/** Objects that can be reached from both. */
function sharedObjects(one: unknown, other: unknown): object[] {
  const objects = objectsIn(one);
  return [...objectsIn(other)].filter((each) => objects.has(each));
}

function objectsIn(value: unknown, found = new Set<object>()): Set<object> {
  if (typeof value === 'object' && value !== null && !found.has(value)) {
    found.add(value);
    const held =
      value instanceof Map || value instanceof Set
        ? [...value]
        : Reflect.ownKeys(value).map((key) => Reflect.get(value, key) as unknown);
    held.flat().forEach((part) => objectsIn(part, found));
  }
  return found;
}
