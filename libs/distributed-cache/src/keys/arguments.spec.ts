import { createContext, runInContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { CacheKeyError, encodeArguments } from './index.js';

class Money {
  constructor(readonly amount: string) {}
  toJSON(): string {
    return this.amount;
  }
}

class MarkedDate extends Date {}

class Page {
  constructor(readonly page?: number) {}
  /** Computed of the properties, as pagination DTOs have it: no state of its own. */
  get skip(): number {
    return ((this.page ?? 1) - 1) * 20;
  }
}

class SortedPage extends Page {
  constructor(
    page: number,
    protected readonly sort: unknown,
  ) {
    super(page);
  }
}

/** What the text of one argument looks like; every line is distinct from every other. */
const TEXTS: readonly (readonly [string, readonly unknown[]])[] = [
  ['', []],
  ['undefined', [undefined]],
  ['undefined,undefined', [undefined, undefined]],
  ['null', [null]],
  ["'undefined'", ['undefined']],
  ["'null'", ['null']],
  ["''", ['']],
  ["'',''", ['', '']],
  [String.raw`'\',\''`, ["','"]],
  [String.raw`'\\'`, ['\\']],
  [String.raw`'\\\',\''`, ["\\','"]],
  [String.raw`'\ud800'`, ['\ud800']],
  [String.raw`'\\ud800'`, ['\\ud800']],
  [String.raw`'\udfff'`, ['\udfff']],
  ["'\ufffd'", ['\ufffd']],
  ["'é'", ['é']],
  ["'e\u0301'", ['e\u0301']],
  ['1', [1]],
  ["'1'", ['1']],
  ['1n', [1n]],
  ["'1n'", ['1n']],
  ['1,2', [1, 2]],
  ['1,undefined', [1, undefined]],
  ["'1,2'", ['1,2']],
  ['[1,2]', [[1, 2]]],
  ['[1],2', [[1], 2]],
  ['[[1],2]', [[[1], 2]]],
  ['[1,[2]]', [[1, [2]]]],
  ['0', [0]],
  ['-0', [-0]],
  ['-1', [-1]],
  ['0.1', [0.1]],
  ['0.30000000000000004', [0.1 + 0.2]],
  ['1e+21', [1e21]],
  ['9007199254740992', [2 ** 53]],
  ['9007199254740993n', [2n ** 53n + 1n]],
  ['NaN', [NaN]],
  ['Infinity', [Infinity]],
  ['-Infinity', [-Infinity]],
  ["'NaN'", ['NaN']],
  ['true', [true]],
  ["'true'", ['true']],
  ['false', [false]],
  ['[]', [[]]],
  ['[undefined]', [[undefined]]],
  ['[null]', [[null]]],
  ['[empty*1]', [holes(1)]],
  ['[empty*3]', [holes(3)]],
  ['[empty*1,1,empty*2,2]', [sparse()]],
  ['[empty*4294967295]', [holes(4_294_967_295)]],
  ["['empty*1']", [['empty*1']]],
  ['()', [{}]],
  ['(a:1)', [{ a: 1 }]],
  ["(a:'1')", [{ a: '1' }]],
  ['(a:undefined)', [{ a: undefined }]],
  ['(a:1,b:2)', [{ a: 1, b: 2 }]],
  ["('a:1,b':2)", [{ 'a:1,b': 2 }]],
  ['(a:(b:2))', [{ a: { b: 2 } }]],
  ['[(a:1)]', [[{ a: 1 }]]],
  ["('0':1)", [{ 0: 1 }]],
  ["('':1)", [{ '': 1 }]],
  [String.raw`('\'':1)`, [{ "'": 1 }]],
  ['(__proto__:1)', [JSON.parse('{"__proto__":1}')]],
  ["'(a:1)'", ['(a:1)']],
  ['Date(1970-01-01T00:00:00.000Z)', [new Date(0)]],
  ['Date(1970-01-01T00:00:00.001Z)', [new Date(1)]],
  ['Date(NaN)', [new Date(NaN)]],
  ["'1970-01-01T00:00:00.000Z'", ['1970-01-01T00:00:00.000Z']],
  ["@MarkedDate('1970-01-01T00:00:00.000Z')", [new MarkedDate(0)]],
  ["RegExp('a','')", [/a/]],
  ["RegExp('a','g')", [/a/g]],
  ["RegExp('a','g',2)", [stoppedAt(/a/g, 2)]],
  ["URL('https://example.org/a')", [new URL('https://example.org/a')]],
  ["'https://example.org/a'", ['https://example.org/a']],
  ["URLSearchParams('a=1&b=2')", [new URLSearchParams('a=1&b=2')]],
  ['Map()', [new Map()]],
  ["Map('a':1)", [new Map([['a', 1]])]],
  ["Map(1:'a')", [new Map([[1, 'a']])]],
  ["Map('1':'a')", [new Map([['1', 'a']])]],
  ['Map((a:1):1)', [new Map([[{ a: 1 }, 1]])]],
  ['Set()', [new Set()]],
  ["Set('a',1)", [new Set(['a', 1])]],
  ["Set(['a',1])", [new Set([['a', 1]])]],
  ['Set((),())', [new Set([{}, {}])]],
  ['Set(())', [new Set([{}])]],
  ['Buffer(AQI)', [Buffer.from([1, 2])]],
  ['Uint8Array(AQI)', [new Uint8Array([1, 2])]],
  ['Int8Array(AQI)', [new Int8Array([1, 2])]],
  ['Uint8ClampedArray(AQI)', [new Uint8ClampedArray([1, 2])]],
  ['Uint16Array(AQI)', [new Uint16Array([513])]],
  ['Float64Array(AAAAAAAAAAA)', [new Float64Array([0])]],
  ['Float64Array(AAAAAAAAAIA)', [new Float64Array([-0])]],
  ['BigInt64Array(AAAAAAAAAAA)', [new BigInt64Array([0n])]],
  ['ArrayBuffer(AQI)', [new Uint8Array([1, 2]).buffer]],
  ['SharedArrayBuffer(AA)', [new SharedArrayBuffer(1)]],
  ['DataView(AQI)', [new DataView(new Uint8Array([1, 2]).buffer)]],
  ["'AQI'", ['AQI']],
  ["@Money('12.50')", [new Money('12.50')]],
  ["'12.50'", ['12.50']],
  ["@Date2('x')", [new (class Date2 extends Money {})('x')]],
  ['@Map(1)', [instanceNamed('Map', 1)]],
  ['@Page(page:1)', [new Page(1)]],
  ['@Page(page:undefined)', [new Page()]],
  ["@SortedPage(page:1,sort:['name'])", [new SortedPage(1, ['name'])]],
  ['@SortedPage(page:1,sort:@Page(page:2))', [new SortedPage(1, new Page(2))]],
  ['@Page((page:1))', [instanceNamed('Page', { page: 1 })]],
  ['@Map()', [new (class Map {})()]],
  ['@Map(undefined:1)', [Object.assign(new (class Map {})(), { undefined: 1 })]],
  ['@Map(undefined)', [instanceNamed('Map', undefined)]],
  ['(page:1)', [{ page: 1 }]],
  [String.raw`@a\(b(1)`, [instanceNamed('a(b', 1)]],
  ['@(1)', [instanceNamed('', 1)]],
];

describe('encodeArguments', () => {
  it.each(TEXTS)('writes %s', (text, args) => {
    expect(encodeArguments(args)).toBe(text);
  });

  it('writes distinct arguments distinctly, one by one and nested', () => {
    const texts = TEXTS.map(([, args]) => encodeArguments(args));
    expect(new Set(texts).size).toBe(TEXTS.length);
    const nested = TEXTS.map(([, args]) => encodeArguments([{ list: args }, new Set([args])]));
    expect(new Set([...texts, ...nested]).size).toBe(2 * TEXTS.length);
  });

  it('writes equal content the same way in any order', () => {
    expect(encodeArguments([{ b: 2, a: 1 }])).toBe(encodeArguments([{ a: 1, b: 2 }]));
    expect(encodeArguments([new Set([2, 1])])).toBe(encodeArguments([new Set([1, 2])]));
    const oneWay = new Map<unknown, unknown>([
      [{ b: 1, a: 2 }, 1],
      ['x', 2],
    ]);
    const otherWay = new Map<unknown, unknown>([
      ['x', 2],
      [{ a: 2, b: 1 }, 1],
    ]);
    expect(encodeArguments([oneWay])).toBe(encodeArguments([otherWay]));
  });

  it('writes a record without a prototype like any other record', () => {
    expect(encodeArguments([Object.assign(Object.create(null), { a: 1 })])).toBe('(a:1)');
  });

  it('recognizes the built-ins of another realm', () => {
    const ofOtherRealm: unknown = runInContext(
      '[{ a: [1] }, new Date(0), new Map([[1, 2]]), new Set([1]), /a/g, new Uint8Array([1, 2])]',
      createContext({}),
    );
    expect(encodeArguments([ofOtherRealm])).toBe(
      "[(a:[1]),Date(1970-01-01T00:00:00.000Z),Map(1:2),Set(1),RegExp('a','g'),Uint8Array(AQI)]",
    );
  });

  it('writes only the own bytes of a view', () => {
    const bytes = new Uint8Array([9, 1, 2, 9]);
    expect(encodeArguments([bytes.subarray(1, 3)])).toBe('Uint8Array(AQI)');
    expect(encodeArguments([Buffer.from('pooled').subarray(0, 1)])).toBe('Buffer(cA)');
  });

  it('accepts the same object twice, unless it contains itself', () => {
    const shared = { a: 1 };
    expect(encodeArguments([shared, [shared, shared]])).toBe('(a:1),[(a:1),(a:1)]');
  });

  it('reads every getter once', () => {
    let reads = 0;
    const record = {
      get count() {
        reads += 1;
        return reads;
      },
    };
    expect(encodeArguments([record])).toBe('(count:1)');
    expect(reads).toBe(1);
  });

  it('ignores inherited and non-enumerable properties', () => {
    const record = Object.defineProperty({ a: 1 }, 'hidden', { value: 2, enumerable: false });
    expect(encodeArguments([record])).toBe('(a:1)');
  });

  it('accepts a depth of 100 levels and refuses the next one', () => {
    expect(encodeArguments([nest(100)])).toBe(`${'['.repeat(100)}${']'.repeat(100)}`);
    expect(() => encodeArguments([nest(101)])).toThrow(/nested deeper than 100 levels/);
    expect(() => encodeArguments([nest(100_000)])).toThrow(CacheKeyError);
  });
});

function holes(count: number): unknown[] {
  const array: unknown[] = [];
  array.length = count;
  return array;
}

function sparse(): unknown[] {
  const array: unknown[] = [];
  array[1] = 1;
  array[4] = 2;
  return array;
}

function stoppedAt(expression: RegExp, lastIndex: number): RegExp {
  expression.lastIndex = lastIndex;
  return expression;
}

function instanceNamed(name: string, json: unknown): object {
  const named = class {
    toJSON(): unknown {
      return json;
    }
  };
  Object.defineProperty(named, 'name', { value: name });
  return new named();
}

function nest(levels: number): unknown[] {
  let nested: unknown[] = [];
  for (let level = 1; level < levels; level += 1) {
    nested = [nested];
  }
  return nested;
}
