/**
 * Compares the estimate of L1 for the size of an entry with the growth of the heap:
 * `node --expose-gc bench/memory/heap-per-entry.mjs`, after `npm run build`. Fails if the estimate of a JSON-like shape
 * differs by more than 15 %.
 */
import { JSON_SHAPES, RICH_SHAPES } from './shapes.mjs';

const { LocalCache } = await import(new URL('../../libs/distributed-cache/dist/local/index.js', import.meta.url).href);
const TOLERANCE = 0.15;
/** The bytes per measurement: much more than all other changes of the heap. */
const TARGET_BYTES = 24 * 1024 * 1024;

if (globalThis.gc === undefined) {
  console.error('run it as: node --expose-gc bench/memory/heap-per-entry.mjs');
  process.exit(2);
}

/** Waits for a turn of the event loop first, because V8 returns the memory of a buffer after it. */
async function usedBytes() {
  await new Promise((resolve) => setImmediate(resolve));
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** @param {() => unknown} make @param {number} count */
async function measure(make, count) {
  const cache = new LocalCache({ maxBytes: 2 ** 40 });
  const before = await usedBytes();
  for (let index = 0; index < count; index += 1) {
    cache.set(`users:Users.find(${index + 1_000_000})`, make(), { ttlMs: 3_600_000, graceMs: 60_000 });
  }
  const grownBytes = (await usedBytes()) - before;
  const estimatedBytes = cache.usedBytes;
  cache.clear();
  return { estimated: estimatedBytes / count, real: grownBytes / count };
}

/** @param {() => unknown} make @param {string} name */
function countFor(make, name) {
  const cache = new LocalCache({ maxBytes: 2 ** 40 });
  cache.set('probe', make(), { ttlMs: 1000 });
  const bytes = Math.max(cache.usedBytes, 250);
  cache.clear();
  // A hash table is fullest at a power of two and emptiest just above it; three quarters of one is in the middle.
  return Math.max(24, Math.min(98_304, name.includes('1 MB') ? 3000 : Infinity, Math.round(TARGET_BYTES / bytes)));
}

let isWrong = false;
const line = (/** @type {unknown[]} */ ...cells) =>
  console.log(
    `| ${cells.map((cell, index) => (index === 0 ? String(cell).padEnd(32) : String(cell).padStart(9))).join(' | ')} |`,
  );
line('shape', 'estimate', 'real', 'ratio', '');
line('-'.repeat(32), ...Array(3).fill('--------:'), '---------');
for (const [shapes, isBinding] of [
  [JSON_SHAPES, true],
  [RICH_SHAPES, false],
]) {
  for (const [name, make] of Object.entries(shapes)) {
    if (!name.includes(process.argv[2] ?? '')) {
      continue;
    }
    await measure(make, 24); // the first use of a shape allocates hidden classes and code
    const { estimated, real } = await measure(make, countFor(make, name));
    const ratio = estimated / real;
    const isOff = Math.abs(ratio - 1) > TOLERANCE;
    isWrong ||= isOff && isBinding;
    line(name, Math.round(estimated), Math.round(real), ratio.toFixed(2), isOff ? (isBinding ? 'OFF' : 'off') : '');
  }
}
process.exitCode = isWrong ? 1 : 0;
