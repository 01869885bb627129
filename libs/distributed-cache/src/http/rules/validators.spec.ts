import { describe, expect, it } from 'vitest';
import type { Fields } from './fields.js';
import { formatHttpDate } from './http-date.js';
import {
  CONDITION_FIELDS,
  entityTagForCoding,
  entityTagOf,
  isLengthAndDigest,
  isNotModified,
  isRangeCurrent,
  notModifiedFields,
  validationFields,
} from './validators.js';

const NOW_MS = Date.UTC(2026, 10, 28, 12);
const at = (offsetSeconds: number) => formatHttpDate(NOW_MS + offsetSeconds * 1000);

describe('entityTagOf (RFC 9110 section 8.8.3)', () => {
  it('is strong, equal for equal bytes, and another one for others', () => {
    const tag = entityTagOf(Buffer.from('a'));
    expect(tag).toMatch(/^"[\w-]{24}"$/);
    expect(entityTagOf(Buffer.from('a'))).toBe(tag);
    expect(entityTagOf(Buffer.from('b'))).not.toBe(tag);
    expect(entityTagOf(Buffer.alloc(0))).not.toBe(tag);
  });

  it('is another one for each coding, and stays as it is when it is weak (section 8.8.3.3)', () => {
    expect(['"x"', 'W/"x"', 'x'].map((tag) => entityTagForCoding(tag, 'br'))).toEqual(['"x-br"', 'W/"x"', 'x']);
  });
});

describe('isLengthAndDigest', () => {
  it.each([
    ['W/"a-h10mBUX798CKJHPjR1NhrIqlyT0"', true],
    ['W/"b-h10mBUX798CKJHPjR1NhrIqlyT0"', false],
    ['"a-h10mBUX798CKJHPjR1NhrIqlyT0"', false],
    ['W/"a"', false],
    ['xW/"a-h10mBUX798CKJHPjR1NhrIqlyT0"', false],
    ['W/"a-h10mBUX798CKJHPjR1NhrIqlyT0"x', false],
    [undefined, false],
  ])('of %j for ten bytes is %j', (tag, isMade) => {
    expect(isLengthAndDigest(tag, Buffer.alloc(10))).toBe(isMade);
  });

  it('reads the length in hexadecimal digits, and has none without a body', () => {
    expect(isLengthAndDigest('W/"1f4-h10mBUX798CKJHPjR1NhrIqlyT0"', Buffer.alloc(500))).toBe(true);
    expect(isLengthAndDigest('W/"a"', undefined)).toBe(false);
  });
});

describe('isNotModified (RFC 9110 section 13.2.2)', () => {
  const stored = { etag: '"a"', 'last-modified': at(-3000), date: at(0) };

  it.each<[Fields, Fields, boolean]>([
    [{ 'if-none-match': '"a"' }, stored, true],
    [{ 'if-none-match': 'W/"a"' }, stored, true],
    [{ 'if-none-match': '"x", "a", "y"' }, stored, true],
    [{ 'if-none-match': ['"x"', '"a"'] }, stored, true],
    [{ 'if-none-match': '*' }, stored, true],
    [{ 'if-none-match': '"b"' }, stored, false],
    [{ 'if-none-match': '"A"' }, stored, false],
    [{ 'if-none-match': '"x, "a""' }, { etag: '"b"' }, false],
    [{ 'if-none-match': '"a,b"' }, { etag: '"a,b"' }, true],
    [{ 'if-none-match': 'W/"a"' }, { etag: 'W/"a"' }, true],
    [{ 'if-none-match': '"aW/b"' }, { etag: '"ab"' }, false],
    [{ 'if-none-match': '"ab"' }, { etag: '"aW/b"' }, false],
    [{ 'if-none-match': ' * ' }, {}, true],
    [{ 'if-none-match': '"a"' }, {}, false],
    [{ 'if-none-match': '"b"', 'if-modified-since': at(0) }, stored, false],
    [{ 'if-none-match': '"a"', 'if-modified-since': at(-9000) }, stored, true],
    [{ 'if-modified-since': at(-3000) }, stored, true],
    [{ 'if-modified-since': at(-2000) }, stored, true],
    [{ 'if-modified-since': at(-3001) }, stored, false],
    [{ 'if-modified-since': 'yesterday' }, stored, false],
    [{ 'if-modified-since': at(0) }, { etag: '"a"', date: at(0) }, false],
    [{}, stored, false],
  ])('of %j with %j is %j', (request, fields, isMet) => {
    expect(isNotModified(request, fields, NOW_MS)).toBe(isMet);
  });

  it.each<[string, Fields, boolean]>([
    [at(-1), { date: at(0) }, false],
    [at(0), { date: at(0) }, true],
    [at(1), { date: at(0), etag: '"a"' }, true],
    [at(1), { date: 'today' }, false],
    [at(0), { date: at(0), 'last-modified': at(1) }, false],
    [at(0), { date: at(0), 'last-modified': 'yesterday' }, false],
    [at(0), {}, false],
  ])(
    'by the letter, since %j with %j is %j: without Last-Modified, Date counts (RFC 9111 section 4.3.2)',
    (since, fields, isMet) => {
      const request = { 'if-modified-since': since };
      expect(isNotModified(request, fields, NOW_MS, true)).toBe(isMet);
      expect(isNotModified({ ...request, 'if-none-match': '"b"' }, fields, NOW_MS, true)).toBe(false);
    },
  );

  it('reads the three forms of a date', () => {
    const forms = ['Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994', 'Sun, 06 Nov 1994 08:49:37 GMT'];
    const fields = { 'last-modified': forms[2] };
    expect(forms.map((form) => isNotModified({ 'if-modified-since': form }, fields, NOW_MS))).toEqual([
      true,
      true,
      true,
    ]);
  });
});

describe('isRangeCurrent (RFC 9110 section 13.1.5)', () => {
  const stored = { etag: '"a"', 'last-modified': at(-3000), date: at(0) };

  it.each<[string | undefined, Fields, boolean]>([
    [undefined, stored, true],
    ['"a"', stored, true],
    ['"b"', stored, false],
    ['W/"a"', { ...stored, etag: 'W/"a"' }, false],
    ['W/"a"', stored, false],
    [' "a" ', stored, true],
    ['a"', { ...stored, etag: 'a"' }, false],
    [at(-3000), stored, true],
    [at(-3000), { ...stored, date: at(-2999) }, true],
    [at(-2000), stored, false],
    [at(-3000), { ...stored, date: at(-3000) }, false],
    ['yesterday', stored, false],
  ])('of %j with %j is %j', (condition, fields, isMet) => {
    expect(isRangeCurrent(condition === undefined ? {} : { 'if-range': condition }, fields, NOW_MS)).toBe(isMet);
  });
});

describe('the fields of a 304 and of a validation', () => {
  it('has none of the fields of the body in a 304 (RFC 9110 section 15.4.5)', () => {
    const fields = {
      etag: '"a"',
      vary: 'x',
      date: at(0),
      'content-type': 'a/b',
      'content-length': '1',
      'content-encoding': 'br',
      'content-language': 'de',
      'content-range': 'bytes 0-0/1',
      'content-location': '/a',
    };
    expect(Object.keys(notModifiedFields(fields))).toEqual(['etag', 'vary', 'date', 'content-location']);
  });

  it('validates with what the stored response has (RFC 9111 section 4.3.1)', () => {
    expect(validationFields({ etag: '"a"', 'last-modified': at(0) })).toEqual({
      'if-none-match': '"a"',
      'if-modified-since': at(0),
    });
    expect(Object.keys(validationFields({}))).toEqual([]);
  });

  it('takes these fields from the request of one client (RFC 9110 sections 13.1 and 14.2)', () => {
    const conditions = ['if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'range'];
    expect(CONDITION_FIELDS.toSorted()).toEqual(conditions);
  });
});
