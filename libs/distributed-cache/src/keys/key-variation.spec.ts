import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type DimensionValue,
  dimensionsSuffix,
  encodeKey,
  MAX_KEY_BYTES,
  methodKey,
  MethodKeys,
  prepareKey,
  versionSuffix,
} from './index.js';

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
