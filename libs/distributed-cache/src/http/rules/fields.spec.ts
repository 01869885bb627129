import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fieldText, joined, listMembers, membersOf, unquoted } from './fields.js';

describe('listMembers (RFC 9110 section 5.6.1)', () => {
  it.each([
    ['a, b,c', ['a', 'b', 'c']],
    [' , a,, b ,', ['a', 'b']],
    ['a="1, 2", b', ['a="1, 2"', 'b']],
    [String.raw`a="\", x", b`, [String.raw`a="\", x"`, 'b']],
    ['a\\,b', ['a\\', 'b']],
    ['', []],
  ])('splits %j outside quoted strings, without empty members', (text, members) => {
    expect(listMembers(text)).toEqual(members);
  });

  it('shows the members behind a quote that is never closed', () => {
    expect(listMembers('a="1, no-store')).toEqual(['a="1', 'no-store']);
  });

  it('gives back the members that were joined', () => {
    const member = fc.stringMatching(/^[a-z][a-z0-9=]{0,8}$/);
    fc.assert(
      fc.property(fc.array(member), (members) => {
        expect(listMembers(members.join(' , '))).toEqual(members);
      }),
    );
  });
});

describe('fieldText (RFC 9110 section 5.3)', () => {
  it('joins the lines of a field, and tells a missing field from an empty one', () => {
    const fields = { a: ['1', '2'], b: '', c: 7 };
    expect(['a', 'b', 'c', 'd'].map((name) => fieldText(fields, name))).toEqual(['1, 2', '', '7', undefined]);
  });
});

describe('joined', () => {
  it('gives a field with one line, with several and with none as one text', () => {
    expect(['a', ['a', 'b'], 1, undefined].map(joined)).toEqual(['a', 'a, b', '1', '']);
    expect(membersOf(['a, b', 'c'])).toEqual(['a', 'b', 'c']);
  });
});

describe('unquoted (RFC 9110 section 5.6.4)', () => {
  it.each([
    ['"a b"', 'a b'],
    [String.raw`"a\"b"`, 'a"b'],
    ['plain', 'plain'],
    ['"', '"'],
    ['a"b"', 'a"b"'],
    ['"a"b', '"a"b'],
    ['"a\n\\\nb"', 'a\n\nb'],
  ])('reads %s', (text, plain) => {
    expect(unquoted(text)).toBe(plain);
  });
});
