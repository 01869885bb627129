import fc from 'fast-check';
import { parseList } from 'structured-headers';
import { describe, expect, it } from 'vitest';
import type { Fields } from './fields.js';
import {
  cacheGroups,
  invalidatedGroups,
  invalidatedUrls,
  isUnsafe,
  type TagField,
  tagFieldValue,
} from './invalidation.js';

const URL_OF_REQUEST = 'http://a.example/products/1?x=1';
const urlsOf = (method: string, status = 200, fields: Fields = {}) =>
  invalidatedUrls({ method, url: URL_OF_REQUEST, status, fields });

describe('invalidatedUrls (RFC 9111 section 4.4)', () => {
  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'M-SEARCH', 'FOO', 'get'])('has the URL of a successful %s', (method) => {
    expect(urlsOf(method)).toEqual([URL_OF_REQUEST]);
  });

  it.each(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'])(
    'is empty for the safe method %s',
    (method) => {
      expect([isUnsafe(method), urlsOf(method)]).toEqual([false, []]);
    },
  );

  it.each([100, 199, 400, 404, 409, 500])('is empty for the status %i', (status) => {
    expect(urlsOf('POST', status)).toEqual([]);
  });

  it.each([200, 204, 303, 399])('has the URL with the status %i', (status) => {
    expect(urlsOf('POST', status)).toEqual([URL_OF_REQUEST]);
  });

  it('has Location and Content-Location of the same host, resolved and without their fragment', () => {
    const fields = { location: '/orders/7#top', 'content-location': 'http://a.example/latest' };
    expect(urlsOf('POST', 201, fields)).toEqual([
      URL_OF_REQUEST,
      'http://a.example/orders/7',
      'http://a.example/latest',
    ]);
  });

  it.each(['http://b.example/', 'http://a.example:81/', '//b.example/x', 'http://'])(
    'has no entry of another host: %s',
    (location) => {
      expect(urlsOf('POST', 201, { location, 'content-location': URL_OF_REQUEST })).toEqual([URL_OF_REQUEST]);
    },
  );
});

describe('cache groups (RFC 9875)', () => {
  it.each<[string | string[] | undefined, string[]]>([
    ['"a", "b"', ['a', 'b']],
    [
      ['"a"', '"b";x'],
      ['a', 'b'],
    ],
    [undefined, []],
    ['a', []],
    ['"a", 1', []],
    ['"a', []],
    ['("a" "b")', []],
    ['"", "a"', ['a']],
  ])('reads %j as %j', (text, groups) => {
    expect(cacheGroups({ 'cache-groups': text })).toEqual(groups);
  });

  it('invalidates groups for unsafe methods only', () => {
    const fields = { 'cache-group-invalidation': '"a"' };
    expect(['POST', 'GET'].map((method) => invalidatedGroups({ method, fields }))).toEqual([['a'], []]);
  });
});

describe('tagFieldValue', () => {
  it.each<[TagField, string]>([
    ['surrogate-key', 'product:7 a%20b,c'],
    ['cache-tag', 'product:7,a%20b%2Cc'],
    ['cache-groups', '"product:7", "a%20b,c"'],
  ])('writes tags for %s, each once', (field, text) => {
    expect(tagFieldValue(field, ['product:7', 'a b,c', 'product:7'])).toBe(text);
  });

  it('has no value without tags', () => {
    expect(tagFieldValue('cache-tag', [])).toBeUndefined();
  });

  it('keeps any two tags apart (RFC 9875 section 2)', () => {
    const tags = fc.uniqueArray(fc.string({ minLength: 1, unit: 'grapheme' }), { minLength: 1 });
    fc.assert(
      fc.property(tags, (list) => {
        expect(tagFieldValue('surrogate-key', list)?.split(' ')).toHaveLength(list.length);
        expect(tagFieldValue('cache-tag', list)?.split(',')).toHaveLength(list.length);
        const members = parseList(tagFieldValue('cache-groups', list) ?? '').map(([member]) => String(member));
        expect(members.map(decodeURI)).toEqual(list);
      }),
    );
  });
});
