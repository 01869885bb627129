import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { podsForTest } from './pods.js';

/** Any value that the cache accepts, including keys such as `__proto__` and ill-formed text. */
const codeUnit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: codeUnit }));
const anything = fc.anything({
  key: fc.oneof(
    { arbitrary: text, weight: 9 },
    { arbitrary: fc.constantFrom('__proto__', 'constructor', 'then', 'toJSON'), weight: 1 },
  ),
  values: [
    text,
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constantFrom(null, undefined, -0, NaN, '_date_2020', ':base64:', '["Date",1]'),
    fc.date({ noInvalidDate: true }), // to `isDeepStrictEqual` an invalid one differs from itself
    fc.bigInt(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.webUrl().map((url) => new URL(url)),
    text.map((message) => new TypeError(message, { cause: [message] })),
  ],
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  withTypedArray: true,
  withSparseArray: true,
  withObjectString: true,
});

/** JSON with at most one part that a JSON writer would lose. */
const nearlyJson = fc.anything({
  key: fc.string({ maxLength: 3 }),
  values: [fc.string(), fc.integer(), fc.boolean(), fc.constantFrom(null, -0, NaN, undefined, 0, 1)],
  maxDepth: 2,
  maxKeys: 3,
  withSparseArray: true,
});

/** Connects parts: the same part twice, and a reference back to the whole. */
const tied = fc.tuple(anything, fc.boolean()).map(([part, isCyclic]) => {
  const whole: Record<string, unknown> = { first: part, second: part, list: [part] };
  if (isCyclic) {
    whole['self'] = whole;
  }
  return whole;
});

/** As the cache stores it: without a `__proto__` in the data and without the stack of an error. */
function kept(value: unknown, copies = new Map<object, unknown>()): unknown {
  if (typeof value !== 'object' || value === null || copies.has(value)) {
    return typeof value === 'object' && value !== null ? copies.get(value) : value;
  }
  const remember = <Copy extends object>(copy: Copy): Copy => {
    copies.set(value, copy);
    return copy;
  };
  if (Array.isArray(value)) {
    const copy = remember<unknown[]>([]);
    copy.length = value.length;
    for (const index of Object.keys(value)) {
      copy[Number(index)] = kept(value[Number(index)], copies);
    }
    return copy;
  }
  if (value instanceof Map) {
    const copy = remember(new Map<unknown, unknown>());
    value.forEach((held, key) => copy.set(kept(key, copies), kept(held, copies)));
    return copy;
  }
  if (value instanceof Set) {
    const copy = remember(new Set<unknown>());
    value.forEach((held) => copy.add(kept(held, copies)));
    return copy;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return value;
  }
  const copy = remember<Record<string, unknown>>(prototype === null ? Object.create(null) : {});
  for (const [key, held] of Object.entries(value)) {
    if (key !== '__proto__') {
      copy[key] = kept(held, copies);
    }
  }
  return copy;
}

describe('any value', () => {
  it.each(['frozen', 'cloned', 'shared'] as const)(
    'that was set is the same from L1, from Redis in another process, and from getOrSet (%s)',
    async (values) => {
      const { one, two, complaints } = podsForTest({ values, compression: { thresholdBytes: 200 } });
      let number = 0;
      const answers = { local: 0, redis: 0 };
      await fc.assert(
        fc.asyncProperty(fc.oneof(anything, nearlyJson, tied), async (given) => {
          const key = `k${number++}`;
          const expected = kept(given);
          expect(await one.set(key, given)).toBe(true);
          const found = await one.lookup(key);
          const elsewhere = await two.lookup(key);
          const again = await two.lookup(key);
          const loaded = await one.getOrSet(key, () => Promise.reject(new Error('not asked')));
          for (const lookup of [found, elsewhere, again]) {
            answers[lookup.state === 'fresh' ? lookup.tier : 'redis']++;
          }
          const read = [found, elsewhere, again].map((lookup) => ('value' in lookup ? lookup.value : 'nothing'));
          return [...read, loaded].every((value) => isDeepStrictEqual(value, expected));
        }),
        { numRuns: 250 },
      );
      expect(complaints).toEqual([]);
      // The tier that answers the third time depends on the arrival of the message about the change.
      expect(answers.local).toBeGreaterThanOrEqual(250);
      expect(answers.redis).toBeGreaterThanOrEqual(250);
      expect({}).not.toHaveProperty('polluted');
    },
  );

  it('that a loader returned is the same for its own caller, for the next one, and in another process', async () => {
    const { one, two } = podsForTest();
    let number = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(anything, nearlyJson, tied), async (given) => {
        const key = `k${number++}`;
        const expected = kept(given);
        const first = await one.getOrSet(key, () => given);
        const second = await one.getOrSet(key, () => Promise.reject(new Error('not asked')));
        const elsewhere = await two.getOrSet(key, () => Promise.reject(new Error('not asked')));
        return [first, second, elsewhere].every((value) => isDeepStrictEqual(value, expected));
      }),
      { numRuns: 250 },
    );
  });

  it('that no tier can store is refused, returned as the same object, and loaded each time', async () => {
    const { one, two, complaints } = podsForTest();
    const unkeepable = [() => 1, Symbol('x'), { body: new ReadableStream() }, [Promise.resolve(1)], new WeakMap()];
    for (const [index, given] of unkeepable.entries()) {
      const loader = vi.fn(() => given);
      expect(await one.getOrSet(`k${index}`, loader)).toBe(given);
      expect(await one.getOrSet(`k${index}`, loader)).toBe(given);
      expect(loader).toHaveBeenCalledTimes(2);
      expect(await two.lookup(`k${index}`)).toEqual({ state: 'miss' });
    }
    expect(complaints).toHaveLength(10);
  });
});

describe('the result of an accessor at the time of the set', () => {
  it.each([10, 600])('is the same from every tier, beside %i characters', async (length) => {
    const pods = podsForTest();
    let asked = 0;
    const value = {
      text: 'x'.repeat(length),
      get price() {
        return ++asked;
      },
    };
    expect(await pods.one.set('key', value)).toBe(true);
    const local = await pods.one.get('key');
    expect(await pods.one.get('key')).toStrictEqual(local);
    expect(Object.getOwnPropertyDescriptor(local, 'price')).toMatchObject({ value: expect.any(Number) as number });
    expect(await pods.two.get('key')).toStrictEqual(local);
  });
});
