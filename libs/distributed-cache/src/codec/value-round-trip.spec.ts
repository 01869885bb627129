/* oxlint-disable unicorn/no-thenable -- an object with a `then` that is data is one of the cases */
import { isDeepStrictEqual } from 'node:util';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readEnvelope, writeEnvelope } from './envelope.js';
import { Dictionary } from './dictionary.js';
import { ValueCodec } from './value-codec.js';

const MAX_VALUE_BYTES = 4 * 1024 * 1024;
const plain = new ValueCodec({ maxValueBytes: MAX_VALUE_BYTES, compression: false });
const zipping = new ValueCodec({ maxValueBytes: MAX_VALUE_BYTES, compression: { thresholdBytes: 64, codec: 'gzip' } });
/** Long enough for a dictionary, which has all of it. */
const PADDING = 'what values of a namespace have in common '.repeat(8);
const dictionary = new Dictionary(Buffer.from(`[["value"],"${PADDING}"]`));
const learned = new ValueCodec({
  maxValueBytes: MAX_VALUE_BYTES,
  compression: { thresholdBytes: 1024, codec: 'deflate', dictionary: true },
  dictionaries: { compress: (raw) => dictionary.compress(raw), find: () => dictionary },
});
const header = { createdAtMs: 1, expiresAtMs: 2, loadMs: 3, stamps: [] };

/** All the way through the bytes, as Redis would hand them back. */
async function throughBytes(value: unknown, codec = plain): Promise<{ value: unknown; exact: boolean }> {
  const encoding = codec.encode(value);
  const bytes = Buffer.from(writeEnvelope(header, await encoding.payload()));
  const decoded = await codec.decode(readEnvelope(bytes).payload);
  return { value: decoded.value, exact: encoding.exact };
}

/** The part at the end of the path, in an untyped value. */
function at(value: unknown, ...path: string[]): unknown {
  return path.reduce((container, key) => Reflect.get(Object(container), key), value);
}

describe('values come back equal', () => {
  const kept: [string, unknown][] = [
    ['null', null],
    ['undefined', undefined],
    ['booleans and numbers', [true, false, 0, 1.5, -1e300, Number.MAX_SAFE_INTEGER]],
    ['strings, ill-formed ones too', ['', 'ascii', '☕ 😀', '\u2028<script>"\\', 'lone \ud800 half', '\udfff']],
    ['objects in arrays in objects', { a: [{ b: [1, { c: null }] }], '': 0, constructor: 1, hasOwnProperty: 'x' }],
    ['NaN, Infinity and -0', { nan: NaN, infinity: [Infinity, -Infinity], zero: -0 }],
    ['-0 alone', -0],
    ['undefined inside', { a: undefined, b: [undefined, 1] }],
    ['holes', [1, , 3, , ,]], // eslint-disable-line no-sparse-arrays
    ['a mostly empty array', Object.assign([], { 5_000: 'x' })],
    ['dates', [new Date(0), new Date(8.64e15), new Date(-8.64e15)]],
    [
      'a Map with odd keys',
      new Map<unknown, unknown>([
        [{ id: 1 }, 'object'],
        [NaN, 1],
        [1, 'n'],
        ['1', 's'],
        [null, new Map()],
      ]),
    ],
    ['a Set of values', new Set([1, '1', null, undefined, NaN, { deep: new Set() }])],
    ['bigints', [0n, -1n, 2n ** 200n]],
    ['buffers', { empty: Buffer.alloc(0), some: Buffer.from([0, 255, 128]), pooled: Buffer.from('pool') }],
    ['typed arrays', [new Uint8Array([1]), new Int16Array([-2]), new Float64Array([NaN, -0]), new BigInt64Array([3n])]],
    ['ArrayBuffer and DataView', { buffer: new Uint8Array([1, 2, 3]).buffer, view: new DataView(new ArrayBuffer(4)) }],
    ['URLs', { url: new URL('https://user@example.org:8080/a?b=c#d'), query: new URLSearchParams('a=1&a=2') }],
    ['regular expressions', [/a+(?<name>b)/giu, /\//]],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 })],
    ['thenables that are data', { then: 'x', catch: [1] }],
    [
      'strings that other formats take for code',
      [{ then: '_function_() { globalThis.owned = true }' }, '_date_2020-01-01'],
    ],
    [
      'strings that look like our tags',
      ['["Date","2020"]', 'base64:AAAA', '-1', { Buffer: 'base64:AAAA' }, ['Error', 1], ['Buffer', 0]],
    ],
  ];

  it.each(kept)('keeps %s', async (_name, value) => {
    for (const codec of [plain, zipping]) {
      const back = await throughBytes(value, codec);
      expect(back).toStrictEqual({ value, exact: true });
      expect(isDeepStrictEqual(back.value, value)).toBe(true);
    }
    const padded = [value, PADDING];
    expect(await learned.encode(padded).payload()).toMatchObject({ compressor: 'dictionary' });
    expect(await throughBytes(padded, learned)).toStrictEqual({ value: padded, exact: true });
  });

  it('keeps an invalid date invalid', async () => {
    const back = await throughBytes({ when: new Date(NaN) });
    expect(back).toStrictEqual({ value: { when: new Date(NaN) }, exact: true });
  });

  it('keeps shared references shared, and cycles closed', async () => {
    const shared = { name: 'shared' };
    const value: Record<string, unknown> = { first: shared, second: shared, when: new Map([[shared, shared]]) };
    value['self'] = value;
    const back = (await throughBytes(value)).value;
    const first = at(back, 'first');
    expect(first).toStrictEqual(shared);
    expect(at(back, 'second')).toBe(first);
    expect([...Object(at(back, 'when'))]).toStrictEqual([[first, first]]);
    expect(at(back, 'when', 'size')).toBe(1);
    expect(at(back, 'self')).toBe(back);
  });

  it('keeps the bytes of a view, and not the memory around it', async () => {
    const secret = Buffer.from('before|visible|after');
    const view = new Uint8Array(secret.buffer, secret.byteOffset + 7, 7);
    const payload = await plain.encode({ view }).payload();
    expect(payload.bytes.toString()).not.toContain(secret.toString('base64').slice(0, 8));
    const back = (await throughBytes({ view })).value;
    expect(back).toStrictEqual({ view: new Uint8Array(Buffer.from('visible')) });
    expect(at(back, 'view', 'buffer', 'byteLength')).toBe(7);
  });

  it('keeps errors: type, name, message, cause and own fields, but no stack', async () => {
    const cause = Object.assign(new TypeError('inner'), { code: 'E_INNER', at: new Date(5) });
    const given = [
      new Error('outer', { cause }),
      new AggregateError([new RangeError('a'), 'b'], 'many'),
      Object.assign(new RangeError('gone'), { name: 'NotFoundError' }),
      new Error(),
    ];
    const { value, exact } = await throughBytes(given);
    expect(exact).toBe(false);
    expect(value).toEqual(given);
    expect(at(value, '0', 'cause')).toBeInstanceOf(TypeError);
    expect(at(value, '0', 'cause')).toMatchObject({ message: 'inner', code: 'E_INNER', at: new Date(5) });
    expect(at(value, '0', 'stack')).toBe('Error: outer');
    expect(at(value, '1')).toBeInstanceOf(AggregateError);
    expect(at(value, '1', 'errors')).toEqual([new RangeError('a'), 'b']);
    expect(String(at(value, '2'))).toBe('NotFoundError: gone');
    expect(at(value, '3', 'message')).toBe('');
    expect(Object.hasOwn(Object(at(value, '3')), 'cause')).toBe(false);
  });

  it('keeps objects of another realm', async () => {
    const ofOtherRealm: unknown = runInNewContext(
      `({ list: [1, { a: 1 }], when: new Date(7), map: new Map([[1, 2]]), bytes: new Uint8Array([1]), error: new TypeError('x') })`,
    );
    const back = (await throughBytes(ofOtherRealm)).value;
    const error = at(back, 'error');
    expect(back).toStrictEqual({
      list: [1, { a: 1 }],
      when: new Date(7),
      map: new Map([[1, 2]]),
      bytes: new Uint8Array([1]),
      error,
    });
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toBe('TypeError: x');
  });

  it('keeps 200 levels, in either notation', async () => {
    const nest = (leaf: unknown) => Array.from({ length: 200 }).reduce<unknown>((inner) => [inner], leaf);
    expect((await throughBytes(nest(1))).value).toStrictEqual(nest(1));
    expect((await throughBytes(nest(NaN))).value).toStrictEqual(nest(NaN));
  });
});

describe('any value', () => {
  const codeUnit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCodePoint(code));
  const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: codeUnit }));
  const anything = fc.anything({
    key: text.filter((key) => key !== '__proto__'),
    values: [
      text,
      fc.double(),
      fc.integer(),
      fc.boolean(),
      fc.constantFrom(null, undefined),
      fc.date({ noInvalidDate: true }),
      fc.bigInt(),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.webUrl().map((url) => new URL(url)),
    ],
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withTypedArray: true,
  });

  it('comes back equal through each codec, compressed with a dictionary, too', async () => {
    await fc.assert(
      fc.asyncProperty(anything, fc.constantFrom(plain, zipping, learned), async (given, codec) => {
        const value = codec === learned ? [given, PADDING] : given;
        const back = await throughBytes(value, codec);
        expect(back.exact && isDeepStrictEqual(back.value, value)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('comes back equal when it is JSON, and is written as JSON', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ stringUnit: 'binary' }), async (json) => {
        const value: unknown = JSON.parse(json.replaceAll('-0', '0').replaceAll('__proto__', 'proto'));
        const payload = await plain.encode(value).payload();
        const back = await plain.decode(payload);
        expect(payload.serializer).toBe('json');
        expect(isDeepStrictEqual(back.value, value)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
