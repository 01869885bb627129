import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { copyTree, rebuildTree } from './copy-tree.js';
import { measureValue } from './measure.js';

const tree = fc.oneof(
  fc.object({ maxDepth: 4, withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }),
  fc.array(fc.object({ maxDepth: 3 })),
);

/** Values that the codec has inspected hold no `__proto__` key. */
const jsonTree = fc.object({
  key: fc.string().filter((name) => name !== '__proto__'),
  values: [fc.string(), fc.integer(), fc.boolean(), fc.constant(null)],
});

function deep(levels: number): object {
  let value: object = {};
  for (let level = 0; level < levels; level++) {
    value = level % 2 === 0 ? { value } : [value];
  }
  return value;
}

describe('copyTree', () => {
  it('makes an equal value that shares no object with the given one, whatever the tree holds', () => {
    fc.assert(
      fc.property(tree, (value) => {
        const copy = copyTree(value);
        expect(isDeepStrictEqual(copy, value)).toBe(true);
        const { objects } = measureValue(value);
        expect([...measureValue(copy).objects].filter((part) => objects.has(part))).toEqual([]);
      }),
    );
  });

  it('keeps the classes of instances, and asks for the copy of one', () => {
    class Money {
      constructor(
        readonly cents: number,
        readonly tags: string[],
      ) {}
    }
    const given = { price: new Money(5, ['a']) };
    const byProperties = copyTree(given) as typeof given;
    expect(byProperties.price).toBeInstanceOf(Money);
    expect(byProperties).toEqual(given);
    expect(byProperties.price.tags).not.toBe(given.price.tags);
    const other = new Money(7, []);
    const asked = copyTree(given, (part) => (part instanceof Money ? other : undefined)) as typeof given;
    expect(asked.price).toBe(other);
  });

  it('copies a value of any depth', () => {
    expect(measureValue(copyTree(deep(20_000))).objects.size).toBe(20_001);
  });
});

describe.each([
  ['copyTree', copyTree],
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
