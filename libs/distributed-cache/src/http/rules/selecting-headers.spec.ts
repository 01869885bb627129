import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Fields } from './fields.js';
import { mergeVary, selectionKey, varyNames } from './selecting-headers.js';

describe('varyNames (RFC 9110 section 12.5.5)', () => {
  it.each<[string | string[], readonly string[] | '*']>([
    ['Accept', ['accept']],
    [' Foo ,  BAR', ['bar', 'foo']],
    [
      ['a', 'B, a'],
      ['a', 'b'],
    ],
    ['*', '*'],
    ['*, foo', '*'],
    ['foo, *', '*'],
    [['foo', ' * '], '*'],
    [' , ', []],
  ])('of %j are %j', (vary, names) => {
    expect(varyNames({ vary })).toEqual(names);
  });
});

describe('mergeVary', () => {
  it('keeps each name once, in whatever case', () => {
    expect(mergeVary(['Origin'], ['accept', 'origin'])).toBe('origin, accept');
    expect(mergeVary(['Origin'], ['*'])).toBe('*');
  });
});

describe('selectionKey (RFC 9111 section 4.1)', () => {
  const key = (fields: Fields, ...names: string[]) => selectionKey(names, fields);

  it.each<[string, Fields, Fields]>([
    ['foo', {}, {}],
    ['foo', { foo: '1, 2' }, { foo: ['1', '2'] }],
    ['foo', { foo: '1,2' }, { foo: ' 1 ,  2 ' }],
    ['accept-language', { 'accept-language': 'en, DE' }, { 'accept-language': 'EN,de' }],
    ['accept-language', { 'accept-language': 'en;q=0.5, de' }, { 'accept-language': 'de, en; q=0.5' }],
    ['accept-language', { 'accept-language': 'en, de' }, { 'accept-language': 'de, en' }],
  ])('of %s is equal for %j and %j', (name, one, other) => {
    expect(key(one, name)).toBe(key(other, name));
  });

  it.each<[string, Fields, Fields]>([
    ['foo', { foo: '1' }, { foo: '2' }],
    ['foo', { foo: '1' }, {}],
    ['foo', { foo: '' }, {}],
    ['foo', { foo: '1, 2' }, { foo: '2, 1' }],
    ['foo', { foo: 'a' }, { foo: 'A' }],
    ['accept-language', { 'accept-language': 'en, de;q=0.5' }, { 'accept-language': 'en;q=0.5, de' }],
  ])('of %s differs for %j and %j', (name, one, other) => {
    expect(key(one, name)).not.toBe(key(other, name));
  });

  it('has languages in lower case, in the order of the alphabet, with the weights that say something', () => {
    const fields = { 'accept-language': ['fr;q=0.50 , EN', 'de ; q=1', 'it;q=0'] };
    expect(key(fields, 'accept-language')).toBe('["de,en,fr;q=0.5,it;q=0"]');
  });

  it('is equal only when every value is', () => {
    const value = fc.option(fc.stringMatching(/^[a-z"\]]{0,3}$/), { nil: undefined });
    fc.assert(
      fc.property(fc.tuple(value, value), fc.tuple(value, value), ([a, b], [c, d]) => {
        const isEqual = key({ x: a, y: b }, 'x', 'y') === key({ x: c, y: d }, 'x', 'y');
        expect(isEqual).toBe(a === c && b === d);
      }),
    );
  });
});
