import { describe, expect, it } from 'vitest';
import { describeKey, encodeKey, methodKey } from './index.js';

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

describe('describeKey', () => {
  it('shows the method and hides the arguments', () => {
    expect(describeKey(methodKey('Users', 'find', ['bob@example.org']))).toMatch(/^Users\.find\(…\)#[0-9a-f]{8}$/);
  });

  it.each([
    [],
    [1],
    [-0],
    ['x'],
    [null],
    [undefined, 1],
    [true],
    [1n],
    [NaN],
    [-Infinity],
    [[1]],
    [{ a: 1 }],
    [new Date(0)],
    ['long'.repeat(500)],
  ])('recognizes the key of a call with any arguments (%#)', (...args) => {
    expect(describeKey(encodeKey(methodKey('Users', 'find', args)))).toMatch(/^Users\.find\(…\)#[0-9a-f]{8}$/);
  });

  it.each(['bob@example.org', 'bob@example.org(1)', 'john.doe(1)', 'Bob.Smith(home)', 'user:42', '', '\ud800', 'a\nb'])(
    'shows nothing of a key that a user composed (%j)',
    (key) => {
      expect(describeKey(key)).toMatch(/^key#[0-9a-f]{8}$/);
    },
  );

  it('names the method whose option has made the key, unless the key itself names one', () => {
    expect(describeKey('bob@example.org', 'Users.find')).toMatch(/^Users\.find key#[0-9a-f]{8}$/);
    expect(describeKey(methodKey('Users', 'find', [1]), 'Users.rename')).toMatch(/^Users\.find\(…\)#[0-9a-f]{8}$/);
  });

  it('shortens a name that is longer than any line should be', () => {
    const described = describeKey(methodKey('KeywordInsightsService', 'find'.repeat(100), [1]));
    expect(described).toMatch(/^KeywordInsightsService\.(find){14}…\(…\)#[0-9a-f]{8}$/);
  });

  it('distinguishes calls of one method, the same way each time', () => {
    const first = describeKey(methodKey('Users', 'find', [1]));
    expect(describeKey(methodKey('Users', 'find', [1]))).toBe(first);
    expect(describeKey(methodKey('Users', 'find', [2]))).not.toBe(first);
  });
});
