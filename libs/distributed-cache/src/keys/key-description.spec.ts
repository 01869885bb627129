import { describe, expect, it } from 'vitest';
import { describeKey, encodeKey, methodKey } from './index.js';

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
  ])('recognizes the key of a call, whatever its arguments (%#)', (...args) => {
    expect(describeKey(encodeKey(methodKey('Users', 'find', args)))).toMatch(/^Users\.find\(…\)#[0-9a-f]{8}$/);
  });

  it.each(['bob@example.org', 'bob@example.org(1)', 'john.doe(1)', 'Bob.Smith(home)', 'user:42', '', '\ud800', 'a\nb'])(
    'shows nothing of a key that a user composed (%j)',
    (key) => {
      expect(describeKey(key)).toMatch(/^key#[0-9a-f]{8}$/);
    },
  );

  it('shortens a long method name', () => {
    const described = describeKey(methodKey('KeywordInsightsService', 'findAssociatedWords', [1]));
    expect(described).toMatch(/^KeywordInsightsService\.…\(…\)#[0-9a-f]{8}$/);
  });

  it('distinguishes calls of one method, the same way each time', () => {
    const first = describeKey(methodKey('Users', 'find', [1]));
    expect(describeKey(methodKey('Users', 'find', [1]))).toBe(first);
    expect(describeKey(methodKey('Users', 'find', [2]))).not.toBe(first);
  });
});
