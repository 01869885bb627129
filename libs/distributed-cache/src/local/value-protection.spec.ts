import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LocalCache } from './local-cache.js';
import { readStored, storeValue } from './stored-value.js';
import { copyValue, flatText, flattenTexts } from '../values/index.js';

const leaf = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.double(),
  fc.bigInt(),
  fc.constantFrom(undefined, null, true, -0, NaN),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes)),
  fc.float64Array({ maxLength: 3 }),
  fc.constant('https://a.example/').map((href) => new URL(href)),
);

const names = fc.oneof(fc.constantFrom('a', 'b', '0', '__proto__', 'then'), fc.string({ maxLength: 3 }));

const { value: values } = fc.letrec<{ value: unknown }>((tie) => {
  const limits = { maxLength: 4, depthIdentifier: 'value' } as const;
  const value = tie('value');
  return {
    value: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'value' },
      { weight: 3, arbitrary: leaf },
      { weight: 2, arbitrary: fc.array(value, limits) },
      { weight: 2, arbitrary: fc.dictionary(names, value, { maxKeys: 4, depthIdentifier: 'value' }) },
      { weight: 1, arbitrary: fc.array(fc.tuple(value, value), limits).map((pairs) => new Map(pairs)) },
      { weight: 1, arbitrary: fc.array(value, limits).map((items) => new Set(items)) },
    ),
  };
});

describe('a cached value', () => {
  it.each(['frozen', 'cloned'] as const)(
    'does not change when a caller changes a value that it has read or stored (%s)',
    (mode) => {
      let changes = 0;
      fc.assert(
        fc.property(values, (value) => {
          const original = copyValue(value);
          const stored = storeValue(value, mode);
          changes += spoil(value);
          for (let read = 0; read < 2; read += 1) {
            const answer = readStored(stored, mode);
            expect(isDeepStrictEqual(answer, original)).toBe(true);
            changes += spoil(answer);
          }
        }),
        { numRuns: 400 },
      );
      // Values that nothing could be done to would prove nothing.
      expect(changes).toBeGreaterThan(400);
    },
  );

  it('does not change when callers change what L1 has given them, however often they read it (cloned)', () => {
    const cache = new LocalCache({ values: 'cloned' });
    onTestFinished(() => cache.clear());
    let changes = 0;
    fc.assert(
      // Entries that look alike share what L1 has learned about them.
      fc.property(fc.array(fc.record({ id: fc.nat(9), value: values }), { minLength: 1, maxLength: 3 }), (entries) => {
        const originals = entries.map((entry) => copyValue(entry));
        entries.forEach((entry, index) => cache.set(String(index), entry, { ttlMs: 60_000 }));
        for (let read = 0; read < 6; read++) {
          originals.forEach((original, index) => {
            const answer = cache.get(String(index));
            expect(isDeepStrictEqual(answer, original)).toBe(true);
            changes += spoil(answer);
          });
        }
      }),
      { numRuns: 200 },
    );
    expect(changes).toBeGreaterThan(1000);
  });

  it('is copied whole when it replaces another value of its key, whatever that one was', () => {
    const cache = new LocalCache({ values: 'cloned' });
    onTestFinished(() => cache.clear());
    const makes = [
      () => ({ list: [1], more: null }),
      () => ({ list: [{ a: 1 }], more: { b: 1 } }),
      () => new Map([['list', { a: 1 }]]),
      () => [{ list: [{ a: 1 }] }],
    ];
    for (const make of [...makes, ...makes]) {
      cache.set('key', make(), { ttlMs: 60_000 });
      for (let read = 0; read < 6; read++) {
        const answer = cache.get('key');
        expect(answer).toEqual(make());
        spoil(answer);
      }
    }
  });

  it('is shared, in mode frozen, exactly if every part of it can be frozen', () => {
    fc.assert(
      fc.property(values, (value) => {
        const stored = storeValue(value, 'frozen');
        const isShared =
          typeof value !== 'object' || value === null || readStored(stored, 'frozen') === readStored(stored, 'frozen');
        expect(isShared).toBe(!holdsUnfreezable(value));
      }),
      { numRuns: 200 },
    );
  });
});

describe('the memory behind a buffer or a text', () => {
  it('is not kept alive by a small buffer, which Node cuts out of a pool, nor by a view of a large one', () => {
    const large = Buffer.alloc(100_000);
    for (const given of [Buffer.from('abc'), large.subarray(5, 8), new Uint8Array(large.buffer, 4, 3)]) {
      const { held } = storeValue({ held: given }, 'frozen').value as { held: Uint8Array };
      expect(held.buffer.byteLength).toBe(3);
      expect(held).toEqual(given);
    }
  });

  it('is counted in mode shared, where a view is kept as it is', () => {
    const view = Buffer.alloc(100_000).subarray(0, 3);
    expect(storeValue([view, view.subarray(1)], 'shared').bytes).toBeGreaterThan(100_000);
    expect(storeValue([view, view.subarray(1)], 'shared').bytes).toBeLessThan(110_000);
    expect(storeValue([view], 'frozen').bytes).toBeLessThan(1000);
  });

  it('is not kept alive by a text, which stays equal', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => flatText(text) === text));
  });

  it('is not kept alive by the texts in plain data, and nothing else changes', () => {
    const text = 'a text of some length';
    let asked = 0;
    const accessor = {
      get text() {
        asked += 1;
        return text;
      },
    };
    const frozen = Object.freeze([text]);
    const whole = { text, list: [text, 1], accessor, frozen };
    flattenTexts([whole, whole.list, accessor, frozen]);
    expect(whole).toEqual({ text, list: [text, 1], accessor: { text }, frozen: [text] });
    expect(Object.getOwnPropertyDescriptor(accessor, 'text')).not.toHaveProperty('value');
    expect(asked).toBeGreaterThan(0);
  });
});

/** Changes all that can be changed in it. @returns how many changes were made */
function spoil(value: unknown, seen = new Set<unknown>()): number {
  if (typeof value !== 'object' || value === null || seen.has(value)) {
    return 0;
  }
  seen.add(value);
  const inner = partsOf(value).reduce<number>((count, part) => count + spoil(part, seen), 0);
  return inner + attempts(value).filter(succeeds).length;
}

function partsOf(value: object): unknown[] {
  return value instanceof Map
    ? [...value].flat()
    : value instanceof Set
      ? [...value]
      : ArrayBuffer.isView(value)
        ? []
        : Object.values(value);
}

function attempts(value: object): (() => unknown)[] {
  const ways: (() => unknown)[] = [() => Object.assign(value, { spoiled: 1 })];
  if (value instanceof Map) {
    ways.push(() => value.set('spoiled', 1));
  } else if (value instanceof Set) {
    ways.push(() => value.add('spoiled'));
  } else if (value instanceof Date) {
    ways.push(() => value.setTime(1));
  } else if (value instanceof URL) {
    ways.push(() => (value.host = 'spoiled.example'));
  } else if (ArrayBuffer.isView(value) && value.byteLength > 0) {
    ways.push(() => new Uint8Array(value.buffer, value.byteOffset, value.byteLength).fill(7));
  } else if (Array.isArray(value)) {
    ways.push(() => value.push(1));
  }
  return ways;
}

function succeeds(change: () => unknown): boolean {
  try {
    change();
    return true;
  } catch {
    return false;
  }
}

function holdsUnfreezable(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  const isFreezable = Array.isArray(value) || [Object.prototype, null].includes(Object.getPrototypeOf(value) as null);
  return !isFreezable || partsOf(value).some(holdsUnfreezable);
}
