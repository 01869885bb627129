import { isDeepStrictEqual } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { copyTree, layoutOf, rebuildTree } from './copy-tree.js';
import { copyValue } from './copy.js';
import { measureValue } from './measure.js';

/** Valid dates only: `isDeepStrictEqual` has no two invalid dates equal. */
const tree = fc.oneof(
  fc.object({
    maxDepth: 4,
    withBigInt: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    values: [
      fc.string(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.constant(undefined),
      fc.date({ noInvalidDate: true }),
    ],
  }),
  fc.array(fc.object({ maxDepth: 3 })),
);

/** Values that the codec has inspected hold no `__proto__` key. */
const jsonTree = fc.object({
  key: fc.string().filter((name) => name !== '__proto__'),
  values: [fc.string(), fc.integer(), fc.boolean(), fc.constant(null)],
});

/** A copy by the layout of values like this one, as of an entry that is read often. */
function copyByLayout(value: object): object {
  let layout = 0;
  for (let sight = 0; layout === 0 && sight < 10; sight++) {
    layout = layoutOf(value);
  }
  return copyTree(value, layout);
}

/** Checks that a copy equals the value and the copy of `copyValue`, and shares no object with the value. */
function expectCopy(copy: unknown, value: unknown): void {
  expect(isDeepStrictEqual(copy, value)).toBe(true);
  expect(isDeepStrictEqual(copy, copyValue(value))).toBe(true);
  const { objects } = measureValue(value);
  expect([...measureValue(copy).objects].filter((part) => objects.has(part))).toEqual([]);
}

function deep(levels: number): object {
  let value: object = {};
  for (let level = 0; level < levels; level++) {
    value = level % 2 === 0 ? { value } : [value];
  }
  return value;
}

class Money {
  constructor(
    readonly cents: number,
    readonly tags: string[],
  ) {}

  get owner(): object {
    return { of: 'every instance' };
  }
}

/** Whether V8 stores the properties of an object in slots, not in a hash table. */
function isOrdinaryObject(): (value: object) => boolean {
  setFlagsFromString('--allow-natives-syntax');
  const isOrdinary = runInThisContext('(value) => %HasFastProperties(value)') as (value: object) => boolean;
  isOrdinary({}); // compiles it
  setFlagsFromString('--no-allow-natives-syntax');
  return isOrdinary;
}

describe.each([
  ['without a layout', (value: object) => copyTree(value)],
  ['by its layout', copyByLayout],
])('copyTree %s', (_name, copyOf) => {
  it('makes an equal value that shares no object with the given one, whatever the tree holds', () => {
    fc.assert(fc.property(tree, (value) => expectCopy(copyOf(value), value)));
  });

  it('keeps the classes of instances', () => {
    const given = { price: new Money(5, ['a']), bare: Object.assign(Object.create(null) as object, { a: [1] }) };
    const copy = copyOf(given) as typeof given;
    expect(copy.price).toBeInstanceOf(Money);
    expectCopy(copy, given);
  });

  it('copies what is frozen into what can be changed', () => {
    const copy = copyOf(Object.freeze({ list: Object.freeze([Object.freeze({ a: 1 })]) })) as { list: { a: number }[] };
    copy.list[0]!.a = 2;
    copy.list.push({ a: 3 });
    expect(copy).toEqual({ list: [{ a: 2 }, { a: 3 }] });
  });

  it('keeps holes, a key __proto__ and odd numbers', () => {
    const holes: unknown[] = [, { a: 1 }, ,]; // oxlint-disable-line no-sparse-arrays
    for (const given of [
      { holes, zero: -0, nan: NaN, none: undefined },
      JSON.parse('{"list":[{"__proto__":{"a":1}},{"b":{}}]}') as object,
    ]) {
      const copy = copyOf(given) as { holes?: unknown[] };
      expectCopy(copy, given);
      expect(Object.keys(copy.holes ?? [])).toEqual(copy.holes === undefined ? [] : ['1']);
    }
  });

  it('copies a value of any depth', () => {
    expect(measureValue(copyOf(deep(20_000))).objects.size).toBe(20_001);
  });
});

describe('the layout of a tree', () => {
  it('describes all values that share it, however they differ', () => {
    const parts = fc.oneof(
      fc.constantFrom(null, undefined, 'text', 1.5),
      fc.date({ noInvalidDate: true }),
      fc.array(fc.integer(), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'owner'), fc.constantFrom<unknown>(1, 'text', null), { maxKeys: 2 }),
      fc.array(fc.record({ a: fc.integer(), b: fc.option(fc.record({ c: fc.integer() })) }), { maxLength: 3 }),
      fc.constant(0).map(() => new Money(1, ['a'])),
      fc
        .dictionary(fc.constantFrom('a', 'b'), fc.record({ a: fc.integer() }))
        .map((held) => new Map(Object.entries(held))),
    );
    const row = fc.record({ id: fc.integer(), one: parts, owner: parts, other: parts }, { requiredKeys: ['id'] });
    const list = fc.array(row, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(fc.oneof(row, list), { minLength: 2, maxLength: 6 }), (values) => {
        // Each value is copied after its layout has learned the others, as entries of one method are.
        const layouts = [1, 2, 3, 4].map(() => values.map(layoutOf)).at(-1) ?? [];
        values.forEach((value, index) => expectCopy(copyTree(value, layouts[index]), value));
      }),
    );
  });

  it('copies the properties that each object has, in its order, whatever their names', () => {
    const names = ['a,b', 'a', 'b', '__proto__', '"]: process.exit() })//', '10', '9', '', '\ud800', 'toString'];
    const ofNames = fc
      .uniqueArray(fc.constantFrom(...names), { minLength: 1 })
      .map((each) => Object.fromEntries(each.map((name) => [name, name])));
    fc.assert(
      fc.property(fc.array(ofNames, { minLength: 1, maxLength: 6 }), (list) => {
        for (const given of [list, list[0]!]) {
          const copy = copyByLayout(given);
          expectCopy(copy, given);
          expect(JSON.stringify(copy)).toBe(JSON.stringify(given));
        }
      }),
    );
  });

  it('leaves a property alone that only the prototype has', () => {
    class Owned {
      readonly owner = { a: 1 };
    }
    const given = [new Owned(), new Money(1, [])];
    const copy = copyByLayout(given) as object[];
    expectCopy(copy, given);
    expect(Object.keys(copy[1] ?? {})).toEqual(['cents', 'tags']);
  });

  it('asks for the copy of an instance, also when it was made without such a question', () => {
    const given = { price: new Money(5, ['a']) };
    copyByLayout(given);
    const other = new Money(7, []);
    for (const layout of [0, layoutOf(given)]) {
      const copy = copyTree(given, layout, (part) => (part instanceof Money ? other : undefined)) as typeof given;
      expect(copy.price).toBe(other);
    }
  });

  it('is not made for a dictionary', () => {
    const dictionary = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`id${index}`, { index }]));
    expectCopy(copyByLayout(dictionary), dictionary);
    expectCopy(copyByLayout({ dictionary }), { dictionary });
  });

  it('takes bounded memory: values of ever new shapes are copied without one', async () => {
    vi.resetModules();
    onTestFinished(() => void vi.resetModules());
    const fresh = await import('./copy-tree.js');
    const layouts = new Set<number>();
    for (let shape = 0; shape < 10_000; shape++) {
      const value = { [`of${shape}`]: { list: [{ shape }] } };
      const [, , , layout = 0] = [1, 2, 3, 4].map(() => fresh.layoutOf(value));
      layouts.add(layout);
      if (shape % 500 === 0) {
        expectCopy(fresh.copyTree(value, layout), value);
      }
    }
    expect(layouts.size).toBeLessThan(5000);
  });
});

describe.each([24, 40, 100])('an object with %i properties', (count) => {
  const entries = Array.from({ length: count }, (_, index) => [`column${index}`, index % 2 === 0 ? `${index}` : {}]);

  it('is no hash table in L1 and in its copies, which would take 20 times as long to copy', () => {
    const isOrdinary = isOrdinaryObject();
    const kept = rebuildTree(JSON.parse(JSON.stringify(Object.fromEntries(entries))) as object);
    expect([kept, copyTree(kept), copyByLayout(kept)].map(isOrdinary)).toEqual([true, true, true]);
  });
});

describe.each([
  ['copyTree', (value: object) => copyTree(value)],
  ['copyTree by a layout', copyByLayout],
  ['rebuildTree', rebuildTree],
])('%s', (_name, copyOf) => {
  it('copies JSON data', () => {
    fc.assert(
      fc.property(jsonTree, (value) => {
        delete value['__proto__'];
        const given = JSON.parse(JSON.stringify(value)) as object;
        const copy = copyOf(given);
        expect(copy).toEqual(given);
        const { objects } = measureValue(given);
        expect([...measureValue(copy).objects].filter((part) => objects.has(part))).toEqual([]);
      }),
    );
  });

  it('copies no property that was added to Object.prototype', () => {
    const prototype = Object.prototype as { added?: unknown };
    prototype.added = { by: 'a library' };
    onTestFinished(() => void delete prototype.added);
    const copy = copyOf({ list: [{ a: 1 }] }) as { list: object[] };
    expect([Object.keys(copy), Object.keys(copy.list[0] ?? {})]).toEqual([['list'], ['a']]);
  });
});
