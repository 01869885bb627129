import { describe, expect, it } from 'vitest';
import {
  describeKey,
  encodeKey,
  methodKey,
  type DimensionValue,
  dimensionsSuffix,
  MAX_KEY_BYTES,
  MethodKeys,
  prepareKey,
  versionSuffix,
} from './index.js';
import * as fc from 'fast-check';

describe('methodKey', () => {
  it('reads like the call', () => {
    expect(methodKey('Users', 'find', [42, 'bob'])).toBe("Users.find(42,'bob')");
    expect(methodKey('Users', 'all', [])).toBe('Users.all()');
  });

  it('needs no escape for usual arguments', () => {
    const key = methodKey('Orders', 'search', [{ status: 'open', page: 2, tags: ['a', 'b'] }, new Date(0)]);
    expect(key).toBe("Orders.search((page:2,status:'open',tags:['a','b']),Date(1970-01-01T00:00:00.000Z))");
    expect(encodeKey(key)).toBe(key);
  });

  it.each([
    [
      ['a.b', 'c'],
      ['a', 'b.c'],
    ],
    [
      ['a\\', 'b'],
      ['a', '\\b'],
    ],
    [
      ['a\\.b', 'c'],
      ['a\\', 'b.c'],
    ],
    [
      ['a', 'b(1)'],
      ['a', 'b'],
    ],
    [
      ['', 'a'],
      ['a', ''],
    ],
    [
      ['a', 'Symbol(b)'],
      ['a', 'b'],
    ],
  ] as const)('tells %j from %j', ([class1, method1], [class2, method2]) => {
    expect(methodKey(class1, method1, [1])).not.toBe(methodKey(class2, method2, [1]));
  });

  it('distinguishes a method name that contains arguments from a call with them', () => {
    expect(methodKey('a', "b('x')", [])).not.toBe(methodKey('a', 'b', ['x']));
    expect(methodKey('a', 'b(1', [2])).not.toBe(methodKey('a', 'b', [1, 2]));
  });

  it('names the method in a refusal', () => {
    expect(() => methodKey('Users', 'find', [1, () => 1])).toThrow(
      "Argument 2 of Users.find can't be part of a cache key: it is a function or a class",
    );
  });
});

describe('describeKey', () => {
  it('shows the method and hides the arguments', () => {
    expect(describeKey(methodKey('Users', 'find', ['bob@example.org']))).toMatch(/^Users\.find\(…\)#[0-9a-f]{8}$/);
  });

  it.each([
    [],
    [1],
    [-0],
    ['x'],
    [null],
    [undefined, 1],
    [true],
    [1n],
    [NaN],
    [-Infinity],
    [[1]],
    [{ a: 1 }],
    [new Date(0)],
    ['long'.repeat(500)],
  ])('recognizes the key of a call with any arguments (%#)', (...args) => {
    expect(describeKey(encodeKey(methodKey('Users', 'find', args)))).toMatch(/^Users\.find\(…\)#[0-9a-f]{8}$/);
  });

  it.each(['bob@example.org', 'bob@example.org(1)', 'john.doe(1)', 'Bob.Smith(home)', 'user:42', '', '\ud800', 'a\nb'])(
    'shows nothing of a key that a user composed (%j)',
    (key) => {
      expect(describeKey(key)).toMatch(/^key#[0-9a-f]{8}$/);
    },
  );

  it('names the method whose option has made the key, unless the key itself names one', () => {
    expect(describeKey('bob@example.org', 'Users.find')).toMatch(/^Users\.find key#[0-9a-f]{8}$/);
    expect(describeKey(methodKey('Users', 'find', [1]), 'Users.rename')).toMatch(/^Users\.find\(…\)#[0-9a-f]{8}$/);
  });

  it('shortens a name that is longer than any line should be', () => {
    const described = describeKey(methodKey('KeywordInsightsService', 'find'.repeat(100), [1]));
    expect(described).toMatch(/^KeywordInsightsService\.(find){14}…\(…\)#[0-9a-f]{8}$/);
  });

  it('distinguishes calls of one method, the same way each time', () => {
    const first = describeKey(methodKey('Users', 'find', [1]));
    expect(describeKey(methodKey('Users', 'find', [1]))).toBe(first);
    expect(describeKey(methodKey('Users', 'find', [2]))).not.toBe(first);
  });
});

const awkward = fc.string({ unit: fc.constantFrom(...Array.from(`%v('tn:,){}~#\\é\u{1}0`)), maxLength: 5 });
const dimensionValues = fc.oneof(awkward, fc.constantFrom<DimensionValue>('1', 1, 1n, true, 'true', -0, 0, '%(', "'"));
const names = fc.subarray(['locale', 'tenant']);
const versions = fc.constantFrom<string | number | undefined>(undefined, 1, '1', 2, "'", 'a%b');
const keyTexts = fc.oneof(
  awkward.filter((text) => text !== ''),
  fc.constantFrom("a%(tenant:'1')", 'a%v1', 'a%25v1', 'a', 'x'.repeat(505), 'x'.repeat(509)),
);

const suffixOf = (version: string | number | undefined, values: readonly (readonly [string, DimensionValue])[]) =>
  (version === undefined ? '' : versionSuffix(version)) + (values.length === 0 ? '' : dimensionsSuffix(values));

describe('keys that vary', () => {
  it('gives two keys one encoding exactly if key, version and every dimension are the same', () => {
    const variedKey = fc
      .tuple(keyTexts, versions, names, dimensionValues, dimensionValues)
      .map(([key, version, dimensions, first, second]) => ({
        key,
        version,
        values: dimensions.map((name, index) => [name, index === 0 ? first : second] as const),
      }));
    let equalPairs = 0;
    fc.assert(
      fc.property(fc.array(variedKey, { minLength: 40, maxLength: 40 }), (all) => {
        const identities = new Map<string, string>();
        for (const { key, version, values } of all) {
          const identity = [key, version, ...values.flat()].map((part) => `${typeof part} ${show(part)}`).join('\n');
          const { encoded } = prepareKey(key, suffixOf(version, values));
          expect(Buffer.byteLength(encoded)).toBeLessThanOrEqual(MAX_KEY_BYTES);
          expect(encoded).not.toMatch(/^#|[{}\p{Cc}]/u);
          expect(identities.get(encoded) ?? identity).toBe(identity);
          equalPairs += identities.has(encoded) ? 1 : 0;
          identities.set(encoded, identity);
        }
        expect(identities.size).toBe(new Set(identities.values()).size);
      }),
      { numRuns: 300 },
    );
    expect(equalPairs).toBeGreaterThan(50);
  });

  it('reads like the key with its version and dimensions behind it', () => {
    const suffix = versionSuffix(2) + dimensionsSuffix([['tenant', 'acme']]);
    expect(prepareKey('Users.find(42)', suffix).encoded).toBe("Users.find(42)%v2%(tenant:'acme')");
  });

  it('never equals a plain key, for any values', () => {
    const forged = "Users.find(42)%(tenant:'acme')";
    expect(encodeKey(forged)).toBe("Users.find(42)%25(tenant:'acme')");
    expect(prepareKey('Users.find(42)', dimensionsSuffix([['tenant', 'acme']])).encoded).toBe(forged);
  });

  it('keeps the braces and control characters of a dimension out of the key', () => {
    expect(dimensionsSuffix([['tenant', '{a}\n']])).toBe("%(tenant:'%7Ba%7D%0A')");
  });
});

describe('MethodKeys', () => {
  it('makes the same keys as methodKey and encodeKey, on every path', () => {
    const texts = fc.oneof(
      awkward,
      fc.string({ unit: 'binary' }),
      fc.nat(600).map((length) => 'x'.repeat(length)),
    );
    const args = fc.oneof(
      fc.tuple(texts),
      fc.tuple(fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-0, 1e21, NaN))),
      fc.array(fc.oneof(texts, fc.integer()), { maxLength: 3 }),
    );
    const methods = fc.constantFrom('find', '#hidden', 'fünd', 'a.b', 'x'.repeat(495), 'x'.repeat(600), 'a{b}');
    fc.assert(
      fc.property(fc.constantFrom('Users', '#', ''), methods, args, (className, method, list) => {
        const key = new MethodKeys(className, method).of(list, '');
        expect(key.text).toBe(methodKey(className, method, list));
        expect(key.encoded).toBe(encodeKey(key.text));
      }),
      { numRuns: 5000 },
    );
  });
});

function show(part: unknown): string {
  return Object.is(part, -0) ? '-0' : String(part);
}
