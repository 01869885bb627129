import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inspectValue } from './inspect.js';
import { isPlainJson } from './json.js';

/** What the closer look says: whether JSON keeps all of it. */
function isExactJson(value: unknown): boolean {
  try {
    const { isJson, isExact } = inspectValue(value);
    return isJson && isExact;
  } catch {
    return false;
  }
}

const anything = fc.anything({
  maxDepth: 4,
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
});

const shared = { text: 'met twice' };
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);

describe('isPlainJson', () => {
  it('agrees with inspectValue on every value', () => {
    fc.assert(
      fc.property(fc.oneof(anything, fc.jsonValue({ maxDepth: 6 })), (value) => {
        expect(isPlainJson(value)).toBe(isExactJson(value));
      }),
      { numRuns: 2000 },
    );
  });

  it.each<[string, unknown]>([
    ['an object met twice', { a: shared, b: shared }],
    ['an object met twice among many', [...Array.from({ length: 40 }, () => ({})), shared, shared]],
    ['what is nested more than 200 deep', nested(201)],
    ['an own __proto__', JSON.parse('{"__proto__":1}')],
    ['a toJSON that is not enumerable', Object.defineProperty({}, 'toJSON', { value: () => 1 })],
    ['a match of a regular expression', /a/.exec('a')],
    ['an array with a named property', Object.assign([1], { total: 1 })],
    ['a property that is not enumerable', Object.defineProperty({}, 'a', { value: 1 })],
    ['a symbol key', { [Symbol('s')]: 1 }],
    ['-0', [-0]],
    ['a hole', [1, , 2]], // oxlint-disable-line no-sparse-arrays -- that is the matter
    ['an instance', new (class Price {})()],
    ['a subclass of Array', new (class List extends Array {})()],
    ['what only looks like an array', Object.setPrototypeOf({}, Array.prototype)],
    ['undefined', { a: undefined }],
    ['a function', { a: () => 1 }],
  ])('does not accept %s', (_what, value) => {
    expect(isPlainJson(value)).toBe(false);
    expect(isExactJson(value)).toBe(false);
  });

  it('accepts 200 levels and accessors', () => {
    expect(isPlainJson(nested(200))).toBe(true);
    expect(isPlainJson({ get price() { return 1; } })).toBe(true); // prettier-ignore
  });

  it('accepts nothing while Object.prototype is extended', () => {
    Object.assign(Object.prototype, { stray: 1 });
    try {
      expect(isPlainJson({ a: 1 })).toBe(false);
    } finally {
      Reflect.deleteProperty(Object.prototype, 'stray');
    }
    expect(isPlainJson({ a: 1 })).toBe(true);
  });
});
