/**
 * `npm run check:consistency -- --processes 3 --seconds 60 --loses 100`: whether the consistency checks find processes that lose one
 * invalidation message in `--loses`, and what they cost. Each process reads 1000 keys again and again, and another one has changed
 * each key once. It runs three times: with lost messages, without, and with the checks switched off. It
 * ends with exit code 1 if a lossless run has a divergence, or if a lossy one has none although the probability of that is below
 * one in a hundred. Needs `npm run build`.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createDistributedCache } from 'nestjs-distributed-cache/core';
import { runnerImport } from 'vite';

const KEYS = Array.from({ length: 1000 }, (_, index) => `key:${index}`);
const READS_AT_ONCE = 20;
const PAUSE_MS = 10;

if (process.send === undefined) {
  await compare();
} else {
  await reader(JSON.parse(process.argv[2] ?? '{}'));
}

/** A process that reads, until it is told to end. @param {{ url: string, loses: number, checks: boolean }} options */
async function reader({ url, loses, checks }) {
  const cache = await createDistributedCache({ redis: { url }, consistencyChecks: checks });
  const users = cache.getCache('users');
  const internals = /** @type {any} */ (cache);
  const onChanged = internals.onChanged.bind(internals);
  internals.onChanged = (/** @type {string[] | undefined} */ keys, /** @type {boolean} */ isMessage) => {
    if (loses === 0 || Math.random() >= 1 / loses) {
      onChanged(keys, isMessage);
    }
  };
  await users.getMany(KEYS);
  process.send?.('ready');
  const ended = new AbortController();
  process.once('message', () => ended.abort());
  const cpu = process.cpuUsage();
  while (!ended.signal.aborted) {
    for (let read = 0; read < READS_AT_ONCE; read++) {
      await users.get(KEYS[Math.floor(Math.random() * KEYS.length)] ?? '');
    }
    await sleep(PAUSE_MS);
  }
  const { user, system } = process.cpuUsage(cpu);
  process.send?.({ metrics: users.getMetrics().toJSON(), cpuMs: (user + system) / 1000 });
  await cache.close();
  process.disconnect();
}

/** @param {{ url: string, processes: number, seconds: number, loses: number, checks: boolean }} options */
async function run({ url, processes, seconds, loses, checks }) {
  const writer = await createDistributedCache({ redis: { url } });
  const users = writer.getCache('users');
  await users.setMany(KEYS.map((key) => /** @type {const} */ ([key, 0])));
  const file = fileURLToPath(import.meta.url);
  const readers = Array.from({ length: processes }, () => fork(file, [JSON.stringify({ url, loses, checks })]));
  await Promise.all(readers.map((child) => once(child, 'message'))); // it is ready
  const reports = readers.map((child) => once(child, 'message').then(([report]) => report));
  for (const key of KEYS) {
    await users.set(key, 1);
  }
  await sleep(seconds * 1000);
  readers.forEach((child) => child.send('end'));
  const found = await Promise.all(reports);
  await writer.close();
  const sum = (/** @type {string} */ name) => found.reduce((total, { metrics }) => total + metrics[name], 0);
  const [equal, behind, diverged] = ['equal', 'behind', 'diverged'].map((name) => sum(`consistency_${name}`));
  const cpuPercent = found.reduce((total, { cpuMs }) => total + cpuMs, 0) / processes / seconds / 10;
  return { equal, behind, diverged, hits: sum('local_hits'), cpuPercent };
}

async function compare() {
  const { values } = parseArgs({
    options: {
      processes: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '60' },
      loses: { type: 'string', default: '100' },
    },
  });
  const [processes, seconds, loses] = [Number(values.processes), Number(values.seconds), Number(values.loses)];
  const { module } = await runnerImport(fileURLToPath(new URL('../support/redis-server.ts', import.meta.url)), {
    configFile: false,
    logLevel: 'warn',
  });
  const redis = await module.RedisServer.start();
  try {
    const shared = { url: redis.url, processes, seconds };
    const lossy = tell(`loses 1 in ${loses}`, await run({ ...shared, loses, checks: true }));
    const lossless = tell('loses none', await run({ ...shared, loses: 0, checks: true }));
    tell('no checks', await run({ ...shared, loses: 0, checks: false }));
    const unnoticed = (1 - 1 / loses) ** lossy.count;
    const expected = (lossy.count / loses).toFixed(1);
    console.log(`expected ${expected} divergences; none would have a probability of ${(unnoticed * 100).toFixed(1)} %`);
    process.exitCode = lossless.diverged > 0 || (lossy.diverged === 0 && unnoticed < 0.01) ? 1 : 0;
  } finally {
    await redis.stop();
  }
}

/** @param {string} name @param {Awaited<ReturnType<typeof run>>} report */
function tell(name, { equal = 0, behind = 0, diverged = 0, hits, cpuPercent }) {
  const count = equal + behind + diverged;
  console.log(
    `${name}: ${count} checks, ${behind} behind, ${diverged} diverged; ${hits} hits of L1; ${cpuPercent.toFixed(2)} % of a core per process`,
  );
  return { count, diverged };
}
