import { describe, expect, it } from 'vitest';
import { CacheKeyError, encodeKey, MAX_KEY_BYTES } from './index.js';

const HASHED = /~[\w-]{43}$/;

describe('encodeKey', () => {
  it.each(['a', 'user:42', "Users.find(42,'bob')", 'a#b', 'a b', 'naïve', '日本', '😀', '~home', 'x'.repeat(512)])(
    'leaves %j as it is',
    (key) => {
      expect(encodeKey(key)).toBe(key);
    },
  );

  it.each([
    ['{user}:1', '%7Buser%7D:1'],
    ['100%', '100%25'],
    ['%7B', '%257B'],
    ['#clear', '%23clear'],
    ['##', '%23#'],
    ['a\u0000b\r\n', 'a%00b%0D%0A'],
    ['\u007f', '%7F'],
    ['\u0080\u009f', '%C2%80%C2%9F'],
  ])('escapes %j to %j', (key, encoded) => {
    expect(encodeKey(key)).toBe(encoded);
  });

  it('keeps a key of any length within 512 bytes, its head readable', () => {
    const encoded = encodeKey(`Users.search('${'x'.repeat(1_000_000)}')`);
    expect(Buffer.byteLength(encoded)).toBe(MAX_KEY_BYTES);
    expect(encoded).toMatch(/^Users\.search\('x+~[\w-]{43}$/);
  });

  it('distinguishes long keys that differ only in their last character', () => {
    const long = 'x'.repeat(10_000);
    expect(encodeKey(`${long}a`)).not.toBe(encodeKey(`${long}b`));
  });

  it('counts bytes, not characters', () => {
    expect(encodeKey('é'.repeat(256))).toBe('é'.repeat(256));
    expect(encodeKey('é'.repeat(257))).toMatch(HASHED);
    expect(encodeKey('{'.repeat(170))).toBe('%7B'.repeat(170));
    expect(encodeKey('{'.repeat(171))).toMatch(HASHED);
  });

  it.each([
    ['é', /^x*(?:é)+~/],
    ['日', /^x*(?:日)+~/],
    ['😀', /^x*(?:😀)+~/],
    ['{', /^x*(?:%7B)+~/],
    ['\u0085', /^x*(?:%C2%85)+~/],
  ])('cuts between characters, wherever the limit falls (%j)', (character, whole) => {
    for (let shift = 0; shift < 6; shift += 1) {
      const encoded = encodeKey('x'.repeat(shift) + character.repeat(600));
      expect(encoded).toMatch(whole);
      expect(Buffer.byteLength(encoded)).toBeLessThanOrEqual(MAX_KEY_BYTES);
      expect(Buffer.byteLength(encoded)).toBeGreaterThan(MAX_KEY_BYTES - 6);
    }
  });

  it('never gives a short key the form of a hashed one', () => {
    const hashed = encodeKey('x'.repeat(2000));
    expect(hashed).toMatch(HASHED);
    const lookalike = encodeKey(hashed);
    expect(lookalike).not.toBe(hashed);
    expect(encodeKey(`a~${'b'.repeat(43)}`)).toBe(`a%7E${'b'.repeat(43)}`);
    expect(encodeKey(`a~${'b'.repeat(44)}`)).toBe(`a~${'b'.repeat(44)}`);
  });

  it('hashes a lookalike that is too long once it is escaped', () => {
    const lookalike = `${'x'.repeat(468)}~${'b'.repeat(43)}`;
    const encoded = encodeKey(lookalike);
    expect(encoded).not.toBe(lookalike);
    expect(encoded).toMatch(HASHED);
    expect(Buffer.byteLength(encoded)).toBeLessThanOrEqual(MAX_KEY_BYTES);
  });

  it.each(['k\ud800', '\udfff', '\udc00\ud800', `${'x'.repeat(1000)}\ud800`])(
    'refuses ill-formed UTF-16, which would collide on the wire',
    (key) => {
      expect(() => encodeKey(key)).toThrow(CacheKeyError);
      expect(() => encodeKey(key)).toThrow(/well-formed UTF-16/);
    },
  );

  it('refuses the empty key', () => {
    expect(() => encodeKey('')).toThrow(/must not be empty/);
  });

  it.each([
    [1, 'number'],
    [null, 'null'],
    [undefined, 'undefined'],
    [{}, 'object'],
    [['a'], 'object'],
  ])('refuses %j from a caller without types', (key, kind) => {
    expect(() => Reflect.apply(encodeKey, undefined, [key])).toThrow(`must be a string, got ${kind}`);
  });

  it('refuses with a TypeError that has a code and does not repeat the key', () => {
    const refused = refusalOf(() => encodeKey('bob@example.org\ud800'));
    expect(refused).toBeInstanceOf(TypeError);
    expect(refused).toMatchObject({ name: 'CacheKeyError', code: 'CACHE_KEY_REFUSED' });
    expect(String(refused)).not.toContain('bob');
  });
});

function refusalOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was refused');
}
