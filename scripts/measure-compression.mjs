/**
 * `node scripts/measure-compression.mjs`: what each compression codec costs and saves, from 1 KB to 1 MB of JSON, as ratios to
 * `JSON.stringify` of the same value, and what a dictionary costs and saves. Needs `npm run build`. The figures in docs/values.md come from here.
 */
import { productOf, productsOf, searchOf, userOf } from './corpora.mjs';

const { compressorOf } = await import('../libs/distributed-cache/dist/codec/compressors.js');
const { trainDictionary } = await import('../libs/distributed-cache/dist/codec/dictionary.js');
const IDS = /** @type {const} */ (['deflate', 'gzip', 'brotli', 'zstd', 'lz4', 'snappy']);

for (const bytes of [1_000, 10_000, 100_000, 1_000_000]) {
  const value = productsOf(bytes);
  const raw = Buffer.from(JSON.stringify(value));
  const stringifyMs = timeOf(() => JSON.stringify(value));
  const parseMs = timeOf(() => JSON.parse(raw.toString()));
  for (const id of IDS) {
    const compressor = compressorOf(id);
    if (compressor === undefined) {
      console.log(`${raw.length} ${id}: not on this machine`);
      continue;
    }
    const zipped = compressor.compressSync(raw);
    timeOf(() => compressor.compressSync(raw)); // the first calls pay for memory that later ones find
    const zip = timeOf(() => compressor.compressSync(raw)) / stringifyMs;
    const unzip = timeOf(() => compressor.decompressSync(zipped, raw.length)) / parseMs;
    const size = zipped.length / raw.length;
    console.log(
      `${raw.length} ${id}: bytes ${size.toFixed(2)}, compress ${zip.toFixed(1)}, decompress ${unzip.toFixed(2)}`,
    );
  }
}

/** @type {[string, (index: number) => unknown][]} */
const CORPORA = [
  ['a product', productOf],
  ['10 products', (index) => Array.from({ length: 10 }, (_, at) => productOf(index * 10 + at))],
  ['50 products', (index) => Array.from({ length: 50 }, (_, at) => productOf(index * 50 + at))],
  ['a row', userOf],
  ['10 rows', (index) => Array.from({ length: 10 }, (_, at) => userOf(index * 10 + at))],
  ['50 rows', (index) => Array.from({ length: 50 }, (_, at) => userOf(index * 50 + at))],
  ['2 search results', (index) => searchOf(index, 2)],
  ['5 search results', (index) => searchOf(index, 5)],
  ['20 search results', (index) => searchOf(index, 20)],
];

console.log('\nWith a dictionary, made of 200 values, for 200 others: bytes, us to compress, us to decompress');
for (const [name, make] of CORPORA) {
  const values = Array.from({ length: 400 }, (_, index) => Buffer.from(JSON.stringify(make(index))));
  const [samples, others] = [values.slice(0, 200), values.slice(200)];
  const before = process.cpuUsage();
  const dictionary = await trainDictionary(samples.map((value) => value.subarray(0, 2048)));
  const trainedMs = process.cpuUsage(before).user / 1000;
  const rawBytes = averageOf(others, ({ length }) => length);
  const deflate = compressorOf('deflate');
  if (dictionary === undefined || deflate === undefined) {
    console.log(`${name}: no dictionary`);
    continue;
  }
  const plain = others.map((value) => deflate.compressSync(value));
  const learned = others.map((value) => dictionary.compress(value).bytes);
  const some = others.slice(0, 20);
  const each = (/** @type {(value: Buffer, at: number) => unknown} */ work) =>
    ((shortestOf(() => some.forEach(work)) / some.length) * 1000).toFixed(0);
  console.log(
    [
      `${name}, ${rawBytes.toFixed(0)} bytes`,
      `deflate ${(averageOf(plain, ({ length }) => length) / rawBytes).toFixed(2)}`,
      each((value) => deflate.compressSync(value)),
      each((value, at) => deflate.decompressSync(plain[at] ?? value, value.length)),
      `dictionary ${(averageOf(learned, ({ length }) => length) / rawBytes).toFixed(2)}`,
      each((value) => dictionary.compress(value)),
      each((value, at) => dictionary.decompress(learned[at] ?? value, value.length)),
      `made in ${trainedMs.toFixed(0)} ms of the processor, ${dictionary.bytes.length} bytes`,
    ].join(' | '),
  );
}

/** @template Item @param {Item[]} items @param {(item: Item) => number} measure */
function averageOf(items, measure) {
  return items.reduce((sum, item) => sum + measure(item), 0) / items.length;
}

/** The best of five, in milliseconds. */
function timeOf(/** @type {() => unknown} */ work) {
  let best = Infinity;
  for (let series = 0; series < 8; series++) {
    const startedAtMs = performance.now();
    let runs = 0;
    do {
      work();
      runs++;
    } while (performance.now() - startedAtMs < 60);
    best = Math.min(best, (performance.now() - startedAtMs) / runs);
  }
  return best;
}

/** The shortest of many runs, in milliseconds: on a busy machine some of them are not interrupted. */
function shortestOf(/** @type {() => unknown} */ work) {
  let shortest = Infinity;
  for (let run = 0; run < 300; run++) {
    const startedAtMs = performance.now();
    work();
    shortest = Math.min(shortest, performance.now() - startedAtMs);
  }
  return shortest;
}
