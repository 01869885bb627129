import { parseDictionary } from 'structured-headers';
import { describe, expect, it } from 'vitest';
import { noVarySearch } from './response-key.js';

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
