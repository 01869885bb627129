import { describe, expect, it } from 'vitest';
import { encodeKey, methodKey } from './index.js';

describe('methodKey', () => {
  it('reads like the call', () => {
    expect(methodKey('Users', 'find', [42, 'bob'])).toBe("Users.find(42,'bob')");
    expect(methodKey('Users', 'all', [])).toBe('Users.all()');
  });

  it('needs no escape for usual arguments', () => {
    const key = methodKey('Orders', 'search', [{ status: 'open', page: 2, tags: ['a', 'b'] }, new Date(0)]);
    expect(key).toBe("Orders.search((page:2,status:'open',tags:['a','b']),Date(1970-01-01T00:00:00.000Z))");
    expect(encodeKey(key)).toBe(key);
  });

  it.each([
    [
      ['a.b', 'c'],
      ['a', 'b.c'],
    ],
    [
      ['a\\', 'b'],
      ['a', '\\b'],
    ],
    [
      ['a\\.b', 'c'],
      ['a\\', 'b.c'],
    ],
    [
      ['a', 'b(1)'],
      ['a', 'b'],
    ],
    [
      ['', 'a'],
      ['a', ''],
    ],
    [
      ['a', 'Symbol(b)'],
      ['a', 'b'],
    ],
  ] as const)('tells %j from %j', ([class1, method1], [class2, method2]) => {
    expect(methodKey(class1, method1, [1])).not.toBe(methodKey(class2, method2, [1]));
  });

  it('distinguishes a method name that contains arguments from a call with them', () => {
    expect(methodKey('a', "b('x')", [])).not.toBe(methodKey('a', 'b', ['x']));
    expect(methodKey('a', 'b(1', [2])).not.toBe(methodKey('a', 'b', [1, 2]));
  });

  it('names the method in a refusal', () => {
    expect(() => methodKey('Users', 'find', [1, () => 1])).toThrow(
      "Argument 2 of Users.find can't be part of a cache key: it is a function or a class",
    );
  });
});
