/**
 * `npm run instructions`: the instructions that one hit of L1 costs, counted by `valgrind`: with no listener, and with each way of
 * observing the cache. The count of a long run less that of a short one has neither the start of the process nor the compilation.
 * Needs `npm run build` and valgrind. Figures of one machine and one version of Node; the differences between the rows count.
 */
import { spawnSync } from 'node:child_process';
import { channel, tracingChannel } from 'node:diagnostics_channel';
import { fileURLToPath } from 'node:url';

const HITS = { short: 100_000, long: 300_000 };

/** What observes the cache in each row, by its name. */
const OBSERVERS = {
  'no listener': async () => {},
  'Prometheus metrics, not collected': async (/** @type {any} */ cache) => {
    const [{ registerCacheMetrics }, { Registry }] = await Promise.all([
      import('nestjs-distributed-cache/prometheus'),
      import('prom-client'),
    ]);
    registerCacheMetrics(new Registry(), cache);
  },
  'OpenTelemetry metrics and spans, no SDK': async (/** @type {any} */ cache) => {
    const { instrumentCache } = await import('nestjs-distributed-cache/opentelemetry');
    instrumentCache(cache);
  },
  'tracing channel of lookups with a subscriber': async () => {
    const ignore = () => {};
    tracingChannel('nestjs-distributed-cache:lookup').subscribe({
      start: ignore,
      end: ignore,
      asyncStart: ignore,
      asyncEnd: ignore,
      error: ignore,
    });
  },
  'channel of the event hit with a subscriber': async () => {
    channel('nestjs-distributed-cache:hit').subscribe(() => {});
  },
};

const [chosen, hits] = process.argv.slice(2);
if (chosen === undefined) {
  compare();
} else {
  await hit(/** @type {keyof typeof OBSERVERS} */ (chosen), Number(hits));
}

/** @param {keyof typeof OBSERVERS} row @param {number} count */
async function hit(row, count) {
  const { createDistributedCache } = await import('nestjs-distributed-cache/core');
  const distributed = await createDistributedCache({ redis: false });
  const cache = distributed.getCache('users');
  const load = async () => 'value';
  await cache.getOrSet('key', load);
  await OBSERVERS[row](distributed);
  for (let done = 0; done < count; done++) {
    await cache.getOrSet('key', load);
  }
  await distributed.close();
}

function compare() {
  console.log(`| | instructions per hit |\n| --- | --- |`);
  for (const row of Object.keys(OBSERVERS)) {
    const perHit = (instructions(row, HITS.long) - instructions(row, HITS.short)) / (HITS.long - HITS.short);
    console.log(`| ${row} | ${Math.round(perHit)} |`);
  }
}

/** @param {string} row @param {number} count @returns {number} instructions of the whole process */
function instructions(row, count) {
  const run = spawnSync(
    'valgrind',
    [
      '--tool=callgrind',
      '--callgrind-out-file=/dev/null',
      '--smc-check=all-non-file',
      process.execPath,
      '--single-threaded',
      '--predictable-gc-schedule',
      fileURLToPath(import.meta.url),
      row,
      String(count),
    ],
    { encoding: 'utf8', maxBuffer: 1 << 26 },
  );
  const found = /Collected : (\d+)/.exec(run.stderr)?.[1];
  if (run.status !== 0 || found === undefined) {
    throw new Error(`valgrind ended with ${run.status ?? run.signal ?? run.error?.message}: ${run.stderr.slice(-400)}`);
  }
  return Number(found);
}
