/**
 * `npm run test:load`: bursts of one process, and of four processes at once, on a Redis that answers: every operation
 * is acknowledged, its result is readable in other processes, and other entries remain. It says how long each burst took,
 * and how much memory its process. It ends on its own, with exit code 1 if a promise was broken, or after
 * {@link LIMIT_MS}. `--quick`, for `.ci/run`: the four processes run smaller bursts. It compiles the sources first, so
 * the test always covers the present sources.
 */
import { spawn } from 'node:child_process';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const SIZE = { single: 20_000, batch: 100_000, tagged: 100_000, batchLoad: 100_000, large: 60 };
/** With `--quick`: the bursts of the four processes. */
const QUICK_SIZE = { single: 5_000, batch: 20_000, tagged: 10_000, batchLoad: 20_000, large: 20 };
/** With `--quick` the bursts take about two minutes of processor time: some 80 seconds on two idle cores. */
const LIMIT_MS = 15 * 60_000;
const isQuick = process.argv.includes('--quick');
const PROCESSES = 4;

async function load(path) {
  const { module } = await runnerImport(fileURLToPath(new URL(path, import.meta.url)), {
    configFile: false,
    logLevel: 'warn',
  });
  return module;
}

/** @returns whether every result is correct */
function tell(reports, label) {
  for (const { name, problems, seconds, peakMb } of reports) {
    const usage = `${seconds.toFixed(1)} s, ${peakMb} MB, load ${loadavg()[0].toFixed(1)}`;
    console.log(`${problems.length === 0 ? 'ok    ' : 'BROKEN'} ${label}: ${[name, usage, ...problems].join(', ')}`);
  }
  return reports.every(({ problems }) => problems.length === 0);
}

async function burst(url, label, size) {
  const { runBursts } = await load('own-load.ts');
  return tell(await runBursts(url, `load-${process.pid}`, size), label);
}

/** @returns whether every result is correct */
function inOtherProcess(url, number) {
  const label = `process ${number} of ${PROCESSES}`;
  const args = [fileURLToPath(import.meta.url), ...(isQuick ? ['--quick'] : []), url, label];
  const child = spawn(process.execPath, args, { stdio: 'inherit', timeout: LIMIT_MS });
  return new Promise((resolve) => child.on('exit', (code) => resolve(code === 0)));
}

const [url, label] = process.argv.slice(2).filter((argument) => argument !== '--quick');
if (url !== undefined) {
  process.exit((await burst(url, label, isQuick ? QUICK_SIZE : SIZE)) ? 0 : 1);
}
const watchdog = setTimeout(() => {
  console.error(`The bursts have not ended within ${LIMIT_MS / 60_000} minutes`);
  process.exit(1);
}, LIMIT_MS);
watchdog.unref();
const { RedisServer } = await load('../support/redis-server.ts');
const server = await RedisServer.start();
let isWell = false;
try {
  const isWellAlone = await burst(server.url, 'one process', SIZE);
  const others = Array.from({ length: PROCESSES }, (_, index) => inOtherProcess(server.url, index + 1));
  isWell = (await Promise.all(others)).every(Boolean) && isWellAlone;
} finally {
  await server.stop();
}
process.exit(isWell ? 0 : 1);
