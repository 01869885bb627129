import { describe, expect, it } from 'vitest';
import { decodeArguments, decodeKey } from './decode-call.js';
import { encodeArguments } from './arguments.js';
import { encodeKey, encodeKeyWith } from './key-encoding.js';
import { dimensionsSuffix, instanceSuffix, methodKey, versionSuffix } from './method-key.js';

const bytes = Uint8Array.from([0, 1, 254, 255, 7, 8, 9, 10]);

describe('the arguments of a key', () => {
  it.each([
    [[]],
    [[1, -0, 1.5, -2.5e-300, 1e21, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    [[1n, -12n]],
    [['', 'text', "it's", 'back\\slash', '\ud800 lone', 'a,b)(', 'ünï', 'new\nline', '%41{x}']],
    [[undefined, null, true, false]],
    [[[1, [2, []]], [undefined]]],
    // oxlint-disable-next-line no-sparse-arrays
    [[[, 1, , , 2, ,]]],
    [[{}, { name: 'Ada', 'e-mail': null, nested: { list: [1] } }, { "it's": 1, '': 2 }]],
    [[new Date('2024-02-29T12:00:00.123Z'), new Date(Number.NaN)]],
    [[/a(b)\/'c'/giu, Object.assign(/x/g, { lastIndex: 3 })]],
    [[new URL('https://example.org/?q=1#a'), new URLSearchParams('a=1&b=2')]],
    [
      [
        new Map<unknown, unknown>([
          ['a', 1],
          [{ b: 2 }, new Set([1, 'x'])],
        ]),
        new Set(),
      ],
    ],
    [[Buffer.from(bytes), bytes, bytes.buffer, new Float64Array(bytes.buffer), new DataView(bytes.buffer)]],
  ])('are made from it: %#', (args) => {
    const decoded = decodeArguments(encodeArguments(args));
    expect(decoded).toEqual(args);
    expect(encodeArguments(decoded ?? [])).toBe(encodeArguments(args));
  });

  it.each([
    '1,',
    ',1',
    "'open",
    '[1',
    '(a:1',
    '(a)',
    'nothing',
    'Nothing()',
    '@User(id:1)',
    "URL('no url')",
    "RegExp('(','')",
    'Date(x',
    '1 2',
    'Float64Array(AAA)',
    'constructor()',
    '__proto__()',
  ])('are unknown for %s', (text) => {
    expect(decodeArguments(text)).toBeUndefined();
  });

  it('become no prototype of an object', () => {
    const [record] = decodeArguments("('__proto__':(polluted:true),a:1)") as [object];
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype);
    expect(record).not.toHaveProperty('polluted');
  });
});

describe('an encoded key', () => {
  it('gives back its text and its dimensions, whatever is in them', () => {
    const text = methodKey('Users', 'find', ['100% {odd} #1 \u0085']);
    expect(decodeKey(encodeKey(text))).toEqual({ text, dimensions: {} });
    const dimensions = { locale: 'de%', tenant: "o'neil (x)", 'x-y': 7, isNew: true };
    const suffix = versionSuffix('2%') + instanceSuffix('cats') + dimensionsSuffix(Object.entries(dimensions));
    expect(decodeKey(encodeKeyWith(text, suffix))).toEqual({ text, dimensions });
    expect(decodeKey(encodeKeyWith(text, versionSuffix(1)))).toEqual({ text, dimensions: {} });
  });

  it('can not be read where it ends in a digest, or is none', () => {
    expect(decodeKey(encodeKey('x'.repeat(600)))).toBeUndefined();
    const looksHashed = `a~${'b'.repeat(43)}`;
    expect(decodeKey(encodeKey(looksHashed))).toEqual({ text: looksHashed, dimensions: {} });
    expect(decodeKey('100%')).toBeUndefined();
  });
});
