import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { measureValue } from './measure.js';
import { freezeTree, prepareTree } from './freeze-and-measure.js';

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

  it('counts own properties only, not those of Object.prototype', () => {
    const value = () => ({ list: [{ name: 'a name of some length' }], text: 'another text' });
    const options = { flattens: true, freezes: true, isAscii: false };
    prepareTree(value(), options);
    const bytes = prepareTree(value(), options);
    Object.assign(Object.prototype, { stray: 'a text that every object inherits' });
    try {
      expect(prepareTree(value(), options)).toBe(bytes);
    } finally {
      Reflect.deleteProperty(Object.prototype, 'stray');
    }
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

  it('accepts a value that is frozen already, in part or as a whole', () => {
    const long = 'a text of more than a dozen characters';
    const value = { list: Object.freeze([long, { text: long }]), text: long };
    prepareTree(value, { flattens: true, freezes: true, isAscii: false });
    expect(value).toStrictEqual({ list: [long, { text: long }], text: long });
    expect(Object.isFrozen(value.list[1])).toBe(true);
  });

  it('accepts a read-only property', () => {
    const value = Object.defineProperty({ other: 'another text of some length' }, 'text', {
      value: 'a text of some length',
      enumerable: true,
      writable: false,
    });
    prepareTree(value, { flattens: true, freezes: true, isAscii: false });
    expect(value).toMatchObject({ text: 'a text of some length', other: 'another text of some length' });
    expect(Object.isFrozen(value)).toBe(true);
  });

  it('freezes nothing in mode shared', () => {
    const value = { list: [{ text: 'x' }] };
    prepareTree(value, { flattens: true, freezes: false, isAscii: false });
    expect(Object.isFrozen(value) || Object.isFrozen(value.list) || Object.isFrozen(value.list[0])).toBe(false);
  });
});

describe('freezeTree', () => {
  it('changes nothing, and freezes every part', () => {
    fc.assert(
      fc.property(json(), (value) => {
        const before = structuredClone(value);
        freezeTree(value);
        expect(value).toStrictEqual(before);
        expect([...measureValue(value).objects].every((part) => Object.isFrozen(part))).toBe(true);
      }),
    );
  });

  it('does not freeze the values of Object.prototype', () => {
    const stray = { of: 'all objects' };
    Object.assign(Object.prototype, { stray });
    try {
      freezeTree({ list: [{ name: 'x' }] });
    } finally {
      Reflect.deleteProperty(Object.prototype, 'stray');
    }
    expect(Object.isFrozen(stray)).toBe(false);
  });
});
