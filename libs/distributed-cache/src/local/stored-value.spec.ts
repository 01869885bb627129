import { describe, expect, it } from 'vitest';
import { readStored, storeValue } from './stored-value.js';

/** What `Object.freeze` does not protect, and how a caller would change it. */
const CHANGEABLE: readonly (readonly [name: string, make: () => unknown, change: (value: unknown) => void])[] = [
  ['a Map', () => new Map([['a', 1]]), (value: unknown) => (value as Map<string, number>).clear()],
  ['a Set', () => new Set([1]), (value: unknown) => (value as Set<number>).clear()],
  ['a Date', () => new Date(1), (value: unknown) => (value as Date).setTime(2)],
  ['a Buffer', () => Buffer.from('abc'), (value: unknown) => (value as Buffer).fill(0)],
  ['a typed array', () => Uint8Array.of(1), (value: unknown) => (value as Uint8Array).fill(0)],
  ['a URL', () => new URL('https://a.example/'), (value: unknown) => ((value as URL).host = 'b.example')],
  ['a RegExp', () => /a/g, (value: unknown) => ((value as RegExp).lastIndex = 5)],
  [
    'an Error whose cause holds a Map',
    () => new Error('a', { cause: new Map([['a', 1]]) }),
    (value: unknown) => ((value as Error).cause as Map<string, number>).clear(),
  ],
];

function deep(depth: number): object {
  let value: object = {};
  for (let level = 0; level < depth; level++) {
    value = { value };
  }
  return value;
}

describe('values in mode frozen', () => {
  it('are shared by their readers and cannot be changed, at any depth', () => {
    const value = { list: [1], nested: { text: 'a', deeper: [{ b: 1 }] } };
    for (const isTree of [true, false]) {
      const stored = storeValue(value, 'frozen', { isTree });
      const read = readStored(stored, 'frozen') as typeof value;
      expect(readStored(stored, 'frozen')).toBe(read);
      expect(() => read.list.push(2)).toThrow(TypeError);
      expect(() => (read.nested.deeper[0]!.b = 2)).toThrow(TypeError);
      expect(() => Object.assign(read, { more: 1 })).toThrow(TypeError);
    }
  });

  it('are frozen at every depth, also if they were frozen at the top before', () => {
    const stored = storeValue({ outer: Object.freeze({ inner: { list: [1] } }) }, 'frozen');
    expect(stored.form).toBe('frozen');
    const read = readStored(stored, 'frozen') as { outer: { inner: { list: number[] } } };
    expect(() => read.outer.inner.list.push(2)).toThrow(TypeError);
  });

  it('are frozen inside an error', () => {
    const error = new AggregateError([{ a: [1] }], 'both', { cause: { list: [1] } });
    const read = readStored(storeValue(error, 'frozen'), 'frozen') as AggregateError & { cause: { list: number[] } };
    expect(() => read.cause.list.push(2)).toThrow(TypeError);
    expect(() => (read.errors[0] as { a: number[] }).a.push(2)).toThrow(TypeError);
    expect(() => (read.message = 'other')).toThrow(TypeError);
  });

  it.each(CHANGEABLE)('are copied on each read if they hold %s', (_name, make, change) => {
    const given = { held: make() };
    const stored = storeValue(given, 'frozen');
    change(given.held);
    const first = readStored(stored, 'frozen') as { held: unknown };
    expect(first).toEqual({ held: make() });
    expect(() => Object.assign(first, { more: 1 })).toThrow(TypeError);
    try {
      change(first.held);
    } catch {
      // the error is frozen
    }
    expect(readStored(stored, 'frozen')).toEqual({ held: make() });
  });

  it.each([{ list: [1] }, { when: new Date(0), list: [1] }])('leave the given object unchanged', (given) => {
    storeValue(given, 'frozen');
    expect(given.list.push(2)).toBe(2);
  });

  it.each(['frozen', 'cloned', 'shared'] as const)('may be nested 100,000 deep (%s)', (mode) => {
    expect(readStored(storeValue(deep(100_000), mode), mode)).toBeTypeOf('object');
    expect(readStored(storeValue([deep(100_000), new Date()], mode), mode)).toBeTypeOf('object');
  });
});

describe('values in mode cloned', () => {
  it('are copied when they are stored and on each read', () => {
    const given = { list: [1] };
    const stored = storeValue(given, 'cloned');
    given.list.push(2);
    const first = readStored(stored, 'cloned') as typeof given;
    expect(first).toEqual({ list: [1] });
    first.list.push(3);
    expect(readStored(stored, 'cloned')).toEqual({ list: [1] });
  });

  it('are given to the first reader instead of a copy, where there is a spare one', () => {
    const given = { list: [1] };
    const stored = { ...storeValue(given, 'cloned'), spare: { value: given } };
    expect(readStored(stored, 'frozen')).not.toBe(given);
    expect(readStored(stored, 'cloned')).toBe(given);
    expect(readStored(stored, 'cloned')).not.toBe(given);
  });
});

describe('values in mode shared', () => {
  it('are the given objects, not frozen and never copied', () => {
    const given = { list: [1], when: new Date(0) };
    const stored = storeValue(given, 'shared');
    expect(readStored(stored, 'shared')).toBe(given);
    given.list.push(2);
    expect(readStored(stored, 'shared')).toEqual({ list: [1, 2], when: new Date(0) });
  });

  it('are copied for a reader of another mode as they are now, also when a caller has made them cyclic', () => {
    const given: { parts: object[] } = { parts: [{}, {}] };
    const stored = storeValue(given, 'shared', { isTree: true });
    given.parts.forEach((part) => Object.assign(part, { of: given }));
    const copy = readStored(stored, 'cloned') as typeof given;
    expect(copy).not.toBe(given);
    expect(copy.parts).toEqual([{ of: copy }, { of: copy }]);
  });
});

it.each(['frozen', 'cloned', 'shared'] as const)('primitives are kept unchanged in mode %s', (mode) => {
  for (const value of [undefined, null, 0, '', 'text', 10n, NaN]) {
    expect(readStored(storeValue(value, mode), mode)).toBe(value);
  }
});
