/**
 * Writes new keys to a full L1: `node --expose-gc bench/memory/churn.mjs --minutes 10`, after `npm run build`. Prints the
 * heap every few seconds, and fails if the heap grows or exceeds the bound of L1.
 */
import { JSON_SHAPES } from './shapes.mjs';

const { LocalCache } = await import(new URL('../../libs/distributed-cache/dist/local/index.js', import.meta.url).href);
const MIB = 1024 * 1024;
const MAX_BYTES = 32 * MIB;
/** The permitted growth of the heap between the two halves of the run, and the permitted error of the estimate of L1. */
const MAX_GROWTH = 0.05;
const TOLERANCE = 0.15;
const at = process.argv.indexOf('--minutes');
const minutes = at < 0 ? 10 : Number(process.argv[at + 1]);

if (globalThis.gc === undefined || !(minutes > 0)) {
  console.error('run it as: node --expose-gc bench/memory/churn.mjs --minutes 10');
  process.exit(2);
}

function usedBytes() {
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const names = [
  'a record',
  '10 records',
  'text 10 KB',
  'a dictionary of 12',
  'a page of search results',
  'pairs, 1 000',
];
const makers = names.map((name) => JSON_SHAPES[name]);
const cache = new LocalCache({ maxBytes: MAX_BYTES });
let keys = 0;
const baseBytes = usedBytes();

function churn(/** @type {number} */ untilMs) {
  while (performance.now() < untilMs) {
    const make = makers[keys % makers.length];
    // TTLs from 1 ms to 1 h; some keys are read again, some deleted, some replaced.
    cache.set(`churn:key(${(keys += 1)})`, make?.(), { ttlMs: [1, 1000, 3_600_000][keys % 3] ?? 1, graceMs: 10 });
    cache.get(`churn:key(${keys - (keys % 97)})`);
    if (keys % 11 === 0) {
      cache.delete(`churn:key(${keys - 5})`);
      cache.set(`churn:key(${keys - 3})`, keys, { ttlMs: 1000 });
    }
  }
}

const startMs = performance.now();
const endMs = startMs + minutes * 60_000;
const stepMs = Math.min(30_000, (minutes * 60_000) / 8);
/** @type {number[]} */
const heaps = [];
while (performance.now() < endMs) {
  churn(performance.now() + stepMs);
  await new Promise((resolve) => setImmediate(resolve)); // the sweep of expired entries runs
  const heapBytes = usedBytes() - baseBytes;
  heaps.push(heapBytes);
  console.log(
    `${((performance.now() - startMs) / 1000).toFixed(0).padStart(4)} s  ${keys} keys  ${cache.entryCount} entries  ` +
      `estimate ${mib(cache.usedBytes)}  heap ${mib(heapBytes)}  rss ${mib(process.memoryUsage().rss)} MiB`,
  );
}
const half = Math.ceil(heaps.length / 2);
const [early, late] = [Math.max(...heaps.slice(0, half)), Math.max(...heaps.slice(half))];
const isFlat = late <= early * (1 + MAX_GROWTH);
const isBounded = late <= MAX_BYTES * (1 + TOLERANCE);
console.log(`${isFlat ? 'flat' : 'NOT FLAT'}, ${isBounded ? 'within' : 'ABOVE'} the ${mib(MAX_BYTES)} MiB of L1`);
cache.clear();
process.exitCode = isFlat && isBounded ? 0 : 1;

function mib(/** @type {number} */ bytes) {
  return (bytes / MIB).toFixed(1);
}
