/**
 * Values as applications cache them. Each call makes a new value that shares no string and no object with another one. The
 * values of `parsed` have the layout of values from Redis.
 */
let serial = 0;

/** @param {number} length */
const ascii = (length) => {
  const unique = `${(serial += 1)}`;
  return unique + 'x'.repeat(Math.max(0, length - unique.length));
};
/** @param {number} length */
const wide = (length) => ascii(length - 1) + '\u20ac';
const double = () => (serial += 1) + 0.5;
const parsed = (/** @type {unknown} */ value) => JSON.parse(JSON.stringify(value));
/** @template T @param {number} count @param {(index: number) => T} make */
const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));

const user = () => ({ id: (serial += 1), name: ascii(12), email: ascii(22), score: double(), active: true });

/** @type {Record<string, () => unknown>} */
export const JSON_SHAPES = {
  'text 100 B': () => parsed(ascii(100)),
  'text 10 KB': () => parsed(ascii(10_000)),
  'text 100 KB': () => parsed(ascii(100_000)),
  'two-byte text 1 KB': () => parsed(wide(500)),
  'two-byte text 100 KB': () => parsed(wide(50_000)),
  'a record': () => parsed(user()),
  'a record of numbers': () => parsed({ a: (serial += 1), b: double(), c: double(), d: -1, e: 2 ** 40 + serial }),
  '10 records': () => parsed(times(10, user)),
  '100 records': () => parsed(times(100, user)),
  '700 records': () => parsed(times(700, user)),
  'integers, 100': () => parsed(times(100, (index) => serial + index)),
  'integers, 10 000': () => parsed(times(10_000, (index) => serial + index)),
  'doubles, 100': () => parsed(times(100, double)),
  'doubles, 10 000': () => parsed(times(10_000, double)),
  'mixed numbers, 1 000': () => parsed(times(1000, (index) => (index % 2 === 0 ? index : double()))),
  'short texts, 100': () => parsed(times(100, () => ascii(8))),
  'short texts, 5 000': () => parsed(times(5000, () => ascii(8))),
  'empty arrays and records, 500': () => parsed(times(500, (index) => (index % 2 === 0 ? [] : {}))),
  'pairs, 1 000': () => parsed(times(1000, () => [(serial += 1), ascii(6)])),
  'nested, 8 levels': () => parsed(times(8, String).reduce((inner, name) => ({ [name]: inner, text: ascii(10) }), {})),
  'a dictionary of 1': () => parsed({ [`k${ascii(8)}`]: (serial += 1) }),
  'a dictionary of 3': () => parsed(Object.fromEntries(times(3, () => [`k${ascii(8)}`, (serial += 1)]))),
  'a dictionary of 12': () => parsed(Object.fromEntries(times(12, () => [`k${ascii(8)}`, (serial += 1)]))),
  'a dictionary of 12, built': () => Object.fromEntries(times(12, () => [`k${ascii(8)}`, (serial += 1)])),
  'a dictionary of 50, built': () => Object.fromEntries(times(50, () => [`k${ascii(8)}`, (serial += 1)])),
  'a dictionary of 100': () => parsed(Object.fromEntries(times(100, () => [`k${ascii(8)}`, (serial += 1)]))),
  'a record of 30': () => parsed(Object.fromEntries(times(30, (index) => [`field${index}`, (serial += 1)]))),
  'a record of 200': () => parsed(Object.fromEntries(times(200, (index) => [`field${index}`, (serial += 1)]))),
  'a record of 500': () => parsed(Object.fromEntries(times(500, (index) => [`field${index}`, (serial += 1)]))),
  'a dictionary of 200': () => parsed(Object.fromEntries(times(200, () => [`k${ascii(8)}`, (serial += 1)]))),
  'a dictionary of 700': () => parsed(Object.fromEntries(times(700, () => [`k${ascii(8)}`, (serial += 1)]))),
  'a record of 200, built': () => Object.fromEntries(times(200, (index) => [`field${index}`, (serial += 1)])),
  'records by number, 3': () => parsed({ 10: user(), 11: user(), 12: user() }),
  'doubles built, 1 000': () => times(1000, double),
  'record built': () => user(),
  'a dictionary of 50': () => parsed(Object.fromEntries(times(50, () => [`k${ascii(8)}`, (serial += 1)]))),
  'a dictionary of 2 000': () => parsed(Object.fromEntries(times(2000, () => [`k${ascii(8)}`, (serial += 1)]))),
  'a dictionary by number, 500': () => parsed(Object.fromEntries(times(500, (index) => [1000 + index * 7, ascii(6)]))),
  'a page of search results': () =>
    parsed({
      query: ascii(20),
      total: serial,
      took: double(),
      hits: times(20, () => ({
        id: ascii(24),
        title: ascii(60),
        body: ascii(400),
        tags: times(4, () => ascii(7)),
        price: { amount: double(), currency: 'EUR' },
        seller: user(),
      })),
    }),
};

/** @type {Record<string, () => unknown>} */
export const RICH_SHAPES = {
  'built text (concatenated)': () => times(50, () => ascii(20)).join('-'),
  'concatenation, never read': () => {
    let text = '';
    for (let part = 0; part < 50; part += 1) {
      text += ascii(20);
    }
    return { text };
  },
  'slice of 1 MB': () => ({ text: `${ascii(1_000_000)}${'y'.repeat(100)}`.slice(-100) }),
  'small Buffer (pooled)': () => Buffer.from(ascii(100)),
  'Buffers in a record': () => ({ a: Buffer.from(ascii(100)), b: Buffer.from(ascii(100)) }),
  'Buffer 10 KB': () => Buffer.alloc(10_000, ascii(8)),
  'view of a 1 MB Buffer': () => Buffer.alloc(1_000_000, 1).subarray(0, 100),
  'Uint8Array 1 KB': () => new Uint8Array(1000).fill(serial),
  'Float64Array 100': () => new Float64Array(100).fill(double()),
  'Map of 10': () => new Map(times(10, () => [ascii(8), (serial += 1)])),
  'Map of 1 000': () => new Map(times(1000, () => [ascii(8), (serial += 1)])),
  'Set of 1 000': () => new Set(times(1000, () => ascii(8))),
  Date: () => new Date(serial),
  'records with Dates, 100': () => times(100, () => ({ at: new Date((serial += 1)), name: ascii(8) })),
  bigint: () => ({ big: 2n ** 500n + BigInt((serial += 1)) }),
  URL: () => new URL(`https://example.com/${ascii(30)}?a=1`),
  'pushed array, 1 000': () => {
    const list = [];
    for (let index = 0; index < 1000; index += 1) {
      list.push(user());
    }
    return list;
  },
};
