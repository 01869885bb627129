import { parseDictionary } from 'structured-headers';
import { describe, expect, it } from 'vitest';
import { canonicalParts, noVarySearch, splitUrl } from './response-key.js';

describe('noVarySearch', () => {
  it('is not sent when every parameter counts', () => {
    expect(noVarySearch('all')).toBeUndefined();
  });

  it('says that no parameter counts', () => {
    expect(noVarySearch('none')).toBe('params');
    expect(noVarySearch([])).toBe('params');
  });

  it('names the parameters that count, in any order', () => {
    expect(noVarySearch(['page', 'q&a'])).toBe('key-order, params, except=("page" "q%26a")');
    expect([...parseDictionary(noVarySearch(['page']) ?? '').keys()]).toEqual(['key-order', 'params', 'except']);
  });
});

describe('canonicalParts', () => {
  it.each([
    'http://shop.example/',
    'http://shop.example/a/b-c_d.e~f',
    "http://shop.example/a,b;c=d:e@f&g+h$i!j'(k)*",
    'http://shop.example/caf%C3%A9/%2F/a%20b',
    'http://shop.example:8080/a?b=c&d=e%20f&g=h,i:j@k/l?m',
    'http://shop.example/a?b',
    'http://shop.example/%E0%A4%A',
  ])('is %s itself, as clients usually write it', (url) => {
    const { host, path, query } = canonicalParts(url);
    expect(`http://${host}${path}${query === '' ? '' : `?${query}`}`).toBe(url);
  });

  it.each([
    ['https://SHOP.example:443/a', 'http://shop.example/a'],
    ['http://shop.example:80/x/../a', 'http://shop.example/a'],
    ['http://shop.example/%61%c3%a9%7e', 'http://shop.example/a%C3%A9~'],
    ['http://shop.example/a%2Cb{c}|', 'http://shop.example/a,b%7Bc%7D%7C'],
    ['http://shop.example/a?b+c=%64', 'http://shop.example/a?b%20c=d'],
    ["http://shop.example/a?'", 'http://shop.example/a?%27'],
    ['http://shop.example/a#b', 'http://shop.example/a'],
  ])('is the same for %s and %s', (one, other) => {
    expect(canonicalParts(one)).toEqual(canonicalParts(other));
  });

  it.each([
    ['http://shop.example/a%2Fb', 'http://shop.example/a/b'],
    ['http://shop.example/a', 'http://shop.example/A'],
    ['http://shop.example/a', 'http://shop.example:8080/a'],
    ['http://shop.example/a?b=c%26d', 'http://shop.example/a?b=c&d'],
    ['http://shop.example/a+b', 'http://shop.example/a%20b'],
  ])('is another one for %s than for %s', (one, other) => {
    expect(canonicalParts(one)).not.toEqual(canonicalParts(other));
  });
});

describe('splitUrl', () => {
  it.each([
    ['b=1&a=2', 'a=2&b=1'],
    ['a[]=1&b=2&a=3', 'a[]=1&a=3&b=2'],
    ['a%5B%5D=1&a=2', 'a%5B%5D=1&a=2'],
    ['a.b=1&a=2', 'a.b=1&a=2'],
    ['&&b&&a=&', 'a=&b'],
  ])('sorts %s by name, and leaves the order of what is one value: %s', (query, sorted) => {
    expect(splitUrl(`/x?${query}`, 'all')).toEqual({ path: '/x', query: sorted });
  });

  it('keeps the order of more parameters than a parser may take', () => {
    const query = `z=1&${Array.from({ length: 100 }, (_, index) => `a${index}`).join('&')}`;
    expect(splitUrl(`/?${query}`, 'all').query).toBe(query);
  });

  it('has those of a list, or none', () => {
    expect(splitUrl('/x?c=1&a=2&b=3', ['c', 'b']).query).toBe('b=3&c=1');
    expect(splitUrl('/x?a=1', 'none')).toEqual({ path: '/x', query: '' });
  });
});
