/**
 * `node scripts/measure-compression.mjs`: what each compression codec costs and saves, from 1 KB to 1 MB of JSON, as ratios to
 * `JSON.stringify` of the same value. Needs `npm run build`. The figures in docs/values.md come from here.
 */
import { createHash } from 'node:crypto';

const { compressorOf } = await import('../libs/distributed-cache/dist/codec/compressors.js');
const IDS = /** @type {const} */ (['deflate', 'gzip', 'brotli', 'zstd', 'lz4', 'snappy']);
const WORDS =
  `wireless noise cancelling headphones with charging case and microphone for travel office running black white
  blue stainless steel kitchen knife set garden hose adjustable led desk lamp organic cotton baby blanket yoga mat extra thick
  portable bluetooth speaker waterproof rechargeable battery pack travel mug insulated water bottle`.split(/\s+/);

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

/** Products as a search API would list them: words out of a small stock, numbers and ids that no codec can shrink. */
function productsOf(/** @type {number} */ bytes) {
  const products = [];
  for (let size = 0; size < bytes; size += JSON.stringify(products.at(-1)).length + 1) {
    const hash = createHash('sha256').update(String(products.length)).digest();
    const word = (/** @type {number} */ at) => WORDS[(hash[at] ?? 0) % WORDS.length];
    products.push({
      id: hash.toString('base64url', 0, 9),
      title: Array.from({ length: 8 }, (_, at) => word(at)).join(' '),
      price: hash.readUInt16BE(10) / 100,
      rating: (hash[12] ?? 0) / 51,
      reviews: hash.readUInt16BE(13),
      tags: [word(15), word(16), word(17)],
      updatedAt: new Date(1.7e12 + hash.readUInt32BE(18)).toISOString(),
      seller: { id: hash.readUInt32BE(22), name: `${word(26)} ${word(27)}`, isPrime: (hash[28] ?? 0) > 127 },
    });
  }
  return products;
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
