import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { measureValue, prepareTree } from './measure.js';

const bytesOf = (value: unknown): number => measureValue(value).bytes;

describe('measureValue', () => {
  it.each([[undefined], [null], [true], [7], [{}], [[]]])('counts few bytes for %j', (value) => {
    expect(bytesOf(value)).toBeLessThan(60);
  });

  it('counts a text by its length, and twice that beyond Latin-1', () => {
    expect(bytesOf('a'.repeat(1000))).toBeGreaterThanOrEqual(1000);
    expect(bytesOf('a'.repeat(1000))).toBeLessThan(1100);
    expect(bytesOf('\u20ac'.repeat(1000))).toBeGreaterThanOrEqual(2000);
    expect(bytesOf('\u20ac'.repeat(1000))).toBeLessThan(2100);
  });

  it.each([
    ['a Buffer', Buffer.alloc(1000)],
    ['a typed array', new Float64Array(125)],
    ['an ArrayBuffer', new ArrayBuffer(1000)],
    ['a big integer', { big: 2n ** 8000n }],
    ['the message of an Error', new Error('x'.repeat(1000))],
    ['the cause of an Error', new Error('x', { cause: 'x'.repeat(1000) })],
    ['a long array', Array.from({ length: 125 }, () => 1)],
    ['the texts in a Map', new Map([['k'.repeat(500), 'v'.repeat(500)]])],
    ['the texts in a Set', new Set(['k'.repeat(1000)])],
  ])('counts %s', (_name, value) => {
    expect(bytesOf(value)).toBeGreaterThanOrEqual(1000);
    expect(bytesOf(value)).toBeLessThan(4000);
  });

  it('counts a shared part once and ends at a cycle', () => {
    const shared = { text: 'x'.repeat(1000) };
    const value: Record<string, unknown> = { a: shared, b: shared, c: [shared] };
    value['self'] = value;
    expect(bytesOf(value)).toBeLessThan(1900);
    expect(measureValue(value).objects.size).toBe(3);
  });

  it.each([
    ['Map', new Map()],
    ['Set', new Set()],
    ['Date', new Date()],
    ['URL', new URL('https://a.example')],
    ['RegExp', /a/],
    ['Buffer', Buffer.alloc(1)],
    ['ArrayBuffer', new ArrayBuffer(1)],
    ['DataView', new DataView(new ArrayBuffer(1))],
  ])('reports that a %s can be changed although it is frozen, at any depth', (_name, value) => {
    expect(measureValue(value).unfreezable).toBe(true);
    expect(measureValue({ list: [{ value }] }).unfreezable).toBe(true);
    expect(measureValue(new Error('a', { cause: value })).unfreezable).toBe(true);
  });

  it('reports that plain data and errors can be frozen', () => {
    expect(measureValue({ a: [1, { b: 'c' }], error: new Error('d') }).unfreezable).toBe(false);
  });

  it('measures a value that is nested 100,000 deep', () => {
    let value: unknown = 'core';
    for (let depth = 0; depth < 100_000; depth++) {
      value = depth % 2 === 0 ? [value] : { value };
    }
    expect(bytesOf(value)).toBeGreaterThan(100_000 * 24);
  });
});

const json = (): fc.Arbitrary<object> =>
  fc.jsonValue({ maxDepth: 6 }).filter((value): value is object => typeof value === 'object' && value !== null);

/**
 * Values of few shapes and without short texts: a shape or text that was met recently counts less, and the two walks
 * meet them in different orders.
 */
const { record } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.string({ minLength: 11, unit: 'binary' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(null, true, 7),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('record'),
  ),
  record: fc.record({ id: tie('value'), name: tie('value'), tags: tie('value') }),
}));

describe('prepareTree', () => {
  it('counts the same bytes as measureValue, for values of every kind', () => {
    fc.assert(
      fc.property(record as fc.Arbitrary<object>, (value) => {
        measureValue(value);
        const { bytes } = measureValue(value);
        expect(prepareTree(value, { flattens: true, freezes: true, isAscii: false })).toBe(bytes);
      }),
    );
  });

  it('counts the same bytes in a value that is known to be ASCII', () => {
    const value = {
      name: 'a longer name than is shared',
      list: ['x', 'short', 'some text of more characters', 1.5, null],
    };
    prepareTree(value, { flattens: false, freezes: false, isAscii: false });
    const bytes = prepareTree(value, { flattens: false, freezes: false, isAscii: false });
    expect(prepareTree(value, { flattens: false, freezes: true, isAscii: true })).toBe(bytes);
  });

  it('counts and freezes own properties only, not those of Object.prototype', () => {
    const value = () => ({ list: [{ name: 'a name of some length' }], text: 'another text' });
    const options = { flattens: true, freezes: true, isAscii: false };
    prepareTree(value(), options);
    const bytes = prepareTree(value(), options);
    const stray = { text: 'a text that every object inherits' };
    Object.assign(Object.prototype, { stray });
    try {
      expect(prepareTree(value(), options)).toBe(bytes);
    } finally {
      Reflect.deleteProperty(Object.prototype, 'stray');
    }
    expect(Object.isFrozen(stray)).toBe(false);
  });

  it('changes nothing that is visible, and freezes every part', () => {
    fc.assert(
      fc.property(json(), (value) => {
        const before = structuredClone(value);
        prepareTree(value, { flattens: true, freezes: true, isAscii: false });
        expect(value).toStrictEqual(before);
        expect([...measureValue(value).objects].every((part) => Object.isFrozen(part))).toBe(true);
      }),
    );
  });

  it('freezes nothing unless it is told to', () => {
    const value = { list: [{ text: 'x' }] };
    prepareTree(value, { flattens: true, freezes: false, isAscii: false });
    expect(Object.isFrozen(value) || Object.isFrozen(value.list) || Object.isFrozen(value.list[0])).toBe(false);
  });
});
