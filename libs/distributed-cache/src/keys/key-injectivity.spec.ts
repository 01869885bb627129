import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeArguments, encodeKey, keyLayout, MAX_KEY_BYTES, methodKey } from './index.js';

/** Few characters, all of them awkward: random text would hardly ever come near a collision. */
const awkwardText = fc.string({
  unit: fc.constantFrom(...Array.from(`{}%#~:.,()[]'"\\@*-ab0n7B\u0000\u0085é😀\u{fffd}`)),
  maxLength: 6,
});

/** Text that ends, or nearly ends, like a hashed key. */
const lookalike = fc
  .tuple(awkwardText, fc.constantFrom('~', '%7E', '~~', '-'), fc.integer({ min: 42, max: 44 }), awkwardText)
  .map(([head, marker, length, tail]) => `${head}${marker}${'b'.repeat(length)}${tail}`);

/** Text around the length limit. */
const longText = fc
  .tuple(awkwardText, fc.constantFrom('x', 'é', '{', '😀', '~'), fc.integer({ min: 120, max: 520 }), awkwardText)
  .map(([head, filler, count, tail]) => head + filler.repeat(count) + tail);

const keys = fc.oneof(awkwardText, lookalike, longText).filter((text) => text !== '');

/** Stands in a template for the one place where its fillings differ. */
const HOLE = Symbol('hole');

/** Values that are easily taken for one another. */
const CONFUSABLE = [
  [undefined, null, true, false, NaN, Infinity, -Infinity, 0, -0, 1, 12, 0n, 1n, 12n],
  ['', '0', '-0', '1', '1n', '1,2', 'null', 'undefined', "'", "','", '\\', "\\'", '\ud800', '\\ud800', '\ufffd', 'AA'],
  [[], [undefined], [1], [1, 2], [[1], 2], ['1,2'], ["','"], ['', ''], ['empty*1'], holes(1), holes(2)],
  [{}, { a: 1 }, { a: '1' }, { a: undefined }, { a: 1, b: 2 }, { 'a:1,b': 2 }, { a: { b: 2 } }, { "'": 1 }, { '': 1 }],
  [
    new Map(),
    new Map([['a', 1]]),
    new Map([[1, 2]]),
    new Map([[[1, 2], 1]]),
    new Set(),
    new Set([1, 2]),
    new Set(['a']),
  ],
  [new Set([{}]), new Set([{}, {}]), new Map([[{}, 1]]), new Date(0), new Date(1), '1970-01-01T00:00:00.000Z'],
  [
    /a/,
    /a/g,
    /,/,
    Buffer.of(0),
    Uint8Array.of(0),
    Int8Array.of(0),
    Uint16Array.of(0),
    Uint8Array.of(),
    Uint8Array.of(1),
  ],
].flat<unknown[][]>();

const leaf = fc.oneof(
  { weight: 4, arbitrary: fc.constant(HOLE) },
  { weight: 4, arbitrary: fc.constantFrom(...CONFUSABLE) },
  { weight: 2, arbitrary: awkwardText },
  { weight: 1, arbitrary: fc.oneof(fc.double(), fc.bigInt(), fc.string({ unit: 'binary' })) },
);

const propertyNames = fc.oneof(fc.constantFrom('a', 'b', '0', '', 'a:0', '__proto__', "'"), awkwardText);

/**
 * Values that `isDeepStrictEqual` compares independently of the library: it distinguishes holes, `-0`, prototypes and
 * content.
 */
const { value: values } = fc.letrec<{ value: unknown }>((tie) => {
  const limits = { maxLength: 3, depthIdentifier: 'value' } as const;
  const value = tie('value');
  return {
    value: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'value' },
      { weight: 3, arbitrary: leaf },
      { weight: 2, arbitrary: fc.array(value, limits) },
      { weight: 1, arbitrary: fc.sparseArray(value, { maxLength: 3, maxNumElements: 2, depthIdentifier: 'value' }) },
      { weight: 2, arbitrary: fc.array(fc.tuple(propertyNames, value), limits).map((pairs) => recordOf(pairs)) },
      { weight: 1, arbitrary: fc.array(fc.tuple(value, value), limits).map((pairs) => new Map(pairs)) },
      { weight: 1, arbitrary: fc.array(value, limits).map((items) => new Set(items)) },
    ),
  };
});

const argumentLists = fc.array(values, { maxLength: 3 });

describe('keys never collide', () => {
  it('gives two lists of arguments one text exactly if they are deeply equal', () => {
    let equalPairs = 0;
    fc.assert(
      fc.property(argumentLists, fc.array(argumentLists, { maxLength: 4 }), (template, more) => {
        const others = more.map((list) => rebuilt(list, 0));
        const crowd = [...others, ...[...CONFUSABLE, ...others].map((filling) => rebuilt([template], filling))];
        const texts = crowd.map((args) => encodeArguments(args));
        equalPairs += countEqualPairs(crowd, texts);
      }),
      { numRuns: 60 },
    );
    // A generator that never made two equal lists would prove half of it.
    expect(equalPairs).toBeGreaterThan(50);
  });

  it('gives a copy with another order of properties, entries and items the same text', () => {
    fc.assert(
      fc.property(argumentLists, (args) => {
        const filled = rebuilt(args, 0);
        expect(encodeArguments(rebuilt(filled, 0, 'backwards'))).toBe(encodeArguments(filled));
      }),
      { numRuns: 200 },
    );
  });

  it('distinguishes classes, methods and arguments', () => {
    let equalPairs = 0;
    const names = fc.string({ unit: fc.constantFrom('.', '(', '\\', 'a'), maxLength: 3 });
    const call = fc.tuple(names, names, fc.constantFrom<unknown[]>([], ['a'], ['a', 'a'], [[]]));
    fc.assert(
      fc.property(fc.array(call, { minLength: 60, maxLength: 60 }), (calls) => {
        const texts = calls.map(([className, methodName, args]) => methodKey(className, methodName, args));
        equalPairs += countEqualPairs(calls, texts);
      }),
      { numRuns: 60 },
    );
    expect(equalPairs).toBeGreaterThan(50);
  });

  it('encodes keys so that they can be decoded, or ends them in a digest that no short key has', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const encoded = encodeKey(key);
        expect(Buffer.byteLength(encoded)).toBeLessThanOrEqual(MAX_KEY_BYTES);
        expect(encoded).not.toMatch(/^#|[{}\p{Cc}]/u);
        const isHashed = /~[\w-]{43}$/.test(encoded);
        expect(isHashed || decodeURIComponent(encoded) === key).toBe(true);
        expect(isHashed && encodeURIComponent(key).length < MAX_KEY_BYTES - 1, 'hashed without need').toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it('gives every value, lease and stamp of every namespace its own name on the wire', () => {
    const names = fc.constantFrom('a', 'b', 'a.b', '-', 'lease');
    const kinds = fc.constantFrom('value', 'lease', 'tag', 'clear');
    const thing = fc.tuple(kinds, names, names, fc.oneof(keys, fc.constantFrom('#clear', '#tag:a', 'a:b', 'a}:lease')));
    fc.assert(
      fc.property(fc.array(thing, { minLength: 16, maxLength: 24, size: 'max' }), (things) => {
        const bytes = new Map<string, unknown>();
        for (const [kind, prefix, namespace, key] of things) {
          const identity = kind === 'clear' ? [kind, prefix, namespace] : [kind, prefix, namespace, key];
          const name = Buffer.from(wireName(kind, prefix, namespace, key)).toString('hex');
          expect(bytes.get(name) ?? identity).toEqual(identity);
          bytes.set(name, identity);
        }
        expect(bytes.size).toBe(new Set([...bytes.values()].map((identity) => JSON.stringify(identity))).size);
      }),
      { numRuns: 150 },
    );
  });
});

function wireName(kind: string, prefix: string, namespace: string, key: string): string {
  const layout = keyLayout(prefix, namespace);
  switch (kind) {
    case 'value':
      return layout.valueKey(encodeKey(key));
    case 'lease':
      return layout.entryKeys(encodeKey(key)).leaseKey;
    case 'tag':
      return layout.tagStampKey(encodeKey(key));
    default:
      return layout.clearStampKey;
  }
}

function recordOf(pairs: readonly (readonly [string, unknown])[]): object {
  const record = {};
  for (const [name, value] of pairs) {
    Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return record;
}

/** @throws if two have one text and are not deeply equal, or are equal and have two */
function countEqualPairs(originals: readonly unknown[], texts: readonly string[]): number {
  let equalPairs = 0;
  for (let first = 0; first < originals.length; first += 1) {
    for (let second = first + 1; second < originals.length; second += 1) {
      const isSameText = texts[first] === texts[second];
      if (isSameText !== isDeepStrictEqual(originals[first], originals[second])) {
        throw new Error(`${isSameText ? 'one text for two' : 'two texts for one'}: ${texts[first]} | ${texts[second]}`);
      }
      equalPairs += isSameText ? 1 : 0;
    }
  }
  return equalPairs;
}

function holes(count: number): unknown[] {
  const array: unknown[] = [];
  array.length = count;
  return array;
}

/** A copy with every HOLE filled; `backwards` builds it in another order where the order must not matter. */
function rebuilt(list: readonly unknown[], filling: unknown, order: 'as-is' | 'backwards' = 'as-is'): unknown[] {
  const copyOf = (value: unknown): unknown => {
    if (value === HOLE) {
      return filling;
    }
    if (Array.isArray(value)) {
      return rebuilt(value, filling, order);
    }
    if (value instanceof Map) {
      return new Map(rebuilt(inOrder([...value], order), filling, order).filter(isPair));
    }
    if (value instanceof Set) {
      return new Set(rebuilt(inOrder([...value], order), filling, order));
    }
    if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
      return recordOf(inOrder(Object.entries(value), order).map(([name, item]) => [name, copyOf(item)] as const));
    }
    return value;
  };
  const copy = holes(list.length);
  for (const index of inOrder(Object.keys(list).map(Number), order)) {
    copy[index] = copyOf(list[index]);
  }
  return copy;
}

function inOrder<T>(items: readonly T[], order: 'as-is' | 'backwards'): readonly T[] {
  return order === 'backwards' ? items.toReversed() : items;
}

function isPair(value: unknown): value is [unknown, unknown] {
  return Array.isArray(value) && value.length === 2;
}
