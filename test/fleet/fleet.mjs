/**
 * `npm run fleet -- --processes 64 --home primary`: a fleet of caches on one machine, in operating system processes of eight caches
 * each, over a primary with three replicas. It prints a table: what a write costs the primary, the share of each tier, loads per
 * missing version, how long an old value is returned after a change, a rolling restart, a lost replica, and a region that is cut off.
 * `--home spread` (or `both`, the default) lets the caches read and listen at the replicas. It ends with exit code 1 if a
 * reader got an error, or if a cache still returned an old value {@link SETTLE_MS} after the last fault. Needs `npm run build`.
 */
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createDistributedCache } from 'nestjs-distributed-cache/core';
import { runnerImport } from 'vite';
import { Fleet } from './members.mjs';
import { lagAfterChange, percentile, primaryCpuMs, share } from './measures.mjs';

const CACHES_PER_PROCESS = 8;
const KEYS = 2000;
/** Per second, of the whole fleet. */
const RATES = { reads: 3200, writes: 100 };
const WRITES_MEASURED = { perSecond: 500, seconds: 4 };
const CUT_MS = 5000;
const SETTLE_MS = 3000;
const NOT_HEALED_MS = 30_000;

const { values } = parseArgs({
  options: {
    processes: { type: 'string', default: '64' },
    seconds: { type: 'string', default: '15' },
    home: { type: 'string', default: 'both' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const count = Math.max(2, Math.round(Number(values.processes) / CACHES_PER_PROCESS));

/** @param {string} path */
async function support(path) {
  const file = fileURLToPath(new URL(`../support/${path}`, import.meta.url));
  return (await runnerImport(file, { configFile: false, logLevel: 'warn' })).module;
}
const { RedisServer } = await support('redis-server.ts');
const { FaultProxy } = await support('fault-proxy.ts');

/** The servers of one run: a database, a primary, a replica beside it, and a replica in a second region behind proxies. */
async function startServers() {
  const [database, primary] = await Promise.all([RedisServer.start(), RedisServer.start()]);
  const toPrimary = await FaultProxy.start(primary.port);
  const replicationLink = await FaultProxy.start(primary.port);
  const near = await RedisServer.start({ args: ['--replicaof', `127.0.0.1 ${primary.port}`] });
  const spare = await RedisServer.start({ args: ['--replicaof', `127.0.0.1 ${primary.port}`] });
  const far = await RedisServer.start({ args: ['--replicaof', `127.0.0.1 ${replicationLink.port}`] });
  const servers = [database, primary, near, spare, far];
  const isReplicated = async (/** @type {typeof near} */ replica) =>
    String(await replica.command('INFO', 'replication')).includes('master_link_status:up');
  while (!(await Promise.all([near, spare, far].map(isReplicated))).every(Boolean)) {
    await sleep(50);
  }
  const proxies = [toPrimary, replicationLink];
  const stop = async () => {
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await Promise.all(servers.map((server) => server.stop()));
  };
  return { database, primary, near, spare, far, toPrimary, proxies, stop };
}

/**
 * What the primary spends per `SET` while the fleet listens and does nothing else, in us.
 * @param {Awaited<ReturnType<typeof startServers>>} servers
 * @param {number} idlePercent what the primary spends without writes
 */
async function costOfWrites({ primary }, idlePercent = 0) {
  const { perSecond, seconds: duration } = WRITES_MEASURED;
  const writer = await createDistributedCache({ redis: { url: primary.url } });
  const cache = writer.getCache('costs');
  const before = await primaryCpuMs(primary);
  for (let turn = 0; turn < duration * 50; turn++) {
    const pause = sleep(20);
    await Promise.all(Array.from({ length: perSecond / 50 }, (_, key) => cache.set(`${turn}:${key}`, 1)));
    await pause;
  }
  const spent = (await primaryCpuMs(primary)) - before - idlePercent * 10 * duration;
  await writer.close();
  return (spent * 1000) / (perSecond * duration);
}

/** What the primary spends on heartbeats, in % of a core. @param {Awaited<ReturnType<typeof startServers>>} servers */
async function idleLoad({ primary }) {
  const before = await primaryCpuMs(primary);
  await sleep(WRITES_MEASURED.seconds * 1000);
  return ((await primaryCpuMs(primary)) - before) / WRITES_MEASURED.seconds / 10;
}

/** @param {Fleet} fleet @returns how long it takes until each cache is `up` again, in ms */
async function untilUp(fleet) {
  const startedAt = performance.now();
  while ((await fleet.health()).notUp > 0) {
    if (performance.now() - startedAt > NOT_HEALED_MS) {
      return Number.POSITIVE_INFINITY;
    }
    await sleep(20);
  }
  return performance.now() - startedAt;
}

/** @param {'primary' | 'spread'} home */
async function run(home) {
  const servers = await startServers();
  const idle = await costOfWrites(servers);
  const fleet = new Fleet({ count, caches: CACHES_PER_PROCESS, keys: KEYS, home, servers });
  try {
    await fleet.start();
    /** @type {[name: string, value: string | number][]} */
    const rows = [];
    const add = (/** @type {string} */ name, /** @type {string | number} */ value) => rows.push([name, value]);
    add('primary CPU per SET without listeners, us', Math.round(idle));
    const heartbeats = await idleLoad(servers);
    add('primary CPU of the fleet at rest, % of a core', heartbeats.toFixed(1));
    add('primary CPU per SET with the fleet, us', Math.round(await costOfWrites(servers, heartbeats)));
    add('caches per home', (await fleet.homes()).join(' / '));

    await fleet.load(RATES, 5); // caches that hold entries, code that is compiled
    await fleet.reports();
    const cpu = await primaryCpuMs(servers.primary);
    await fleet.load(RATES, seconds);
    add(
      'primary CPU under load, % of a core',
      (((await primaryCpuMs(servers.primary)) - cpu) / seconds / 10).toFixed(1),
    );
    const steady = await fleet.reports();
    add('answered by L1 / Redis / loader, %', share(steady));
    add('loads per version read by loaders', steady.loadsPerVersion.toFixed(3));
    const lags = lagAfterChange(steady);
    add(
      'old value returned after a change, p50 / p99 / max, ms',
      [0.5, 0.99, 1].map((part) => percentile(lags, part).toFixed(1)).join(' / '),
    );
    let errors = steady.errors;

    fleet.startLoad(RATES);
    await fleet.restartEach();
    await fleet.stopLoad();
    const deployed = await fleet.reports();
    add('rolling restart: answered by L1 / Redis / loader, %', share(deployed));
    add('rolling restart: loads per version', deployed.loadsPerVersion.toFixed(3));
    errors += deployed.errors;

    fleet.startLoad(RATES);
    await sleep(1000);
    await servers.near.killHard();
    await sleep(200);
    add('replica lost: every cache up again after, ms', Math.round(await untilUp(fleet)) + 200);
    await sleep(1000);
    await fleet.stopLoad();
    const lost = await fleet.reports();
    add('replica lost: old value returned, max, ms', percentile(lagAfterChange(lost), 1).toFixed(1));
    errors += lost.errors;

    fleet.startLoad(RATES);
    await sleep(1000);
    servers.proxies.forEach((proxy) => proxy.blackhole());
    await sleep(CUT_MS);
    await fleet.reports();
    servers.proxies.forEach((proxy) => proxy.cut());
    servers.proxies.forEach((proxy) => proxy.resume());
    add('region cut off for 5 s: every cache up again after, ms', Math.round(await untilUp(fleet)));
    await sleep(SETTLE_MS);
    await fleet.stopLoad();
    const healed = await fleet.reports();
    add(
      'region back: old value returned, p99 / max, ms',
      [0.99, 1].map((part) => percentile(lagAfterChange(healed), part).toFixed(1)).join(' / '),
    );
    errors += healed.errors;
    await sleep(SETTLE_MS);
    const differences = await fleet.differences();
    add('old values at the end', differences);
    add('errors of readers and writers', errors);
    return { home, rows, isRight: differences === 0 && errors === 0 };
  } finally {
    await fleet.end();
    await servers.stop();
  }
}

const homes = /** @type {const} */ (['primary', 'spread']).filter(
  (home) => values.home === home || values.home === 'both',
);
const runs = [];
for (const home of homes) {
  runs.push(await run(home));
}
if (values.json) {
  console.log(JSON.stringify(runs));
} else {
  console.log(
    `${count} processes of ${CACHES_PER_PROCESS} caches, ${RATES.reads} reads and ${RATES.writes} writes a second`,
  );
  console.log(
    `\n| | ${runs.map(({ home }) => `home: ${home}`).join(' | ')} |\n| --- | ${runs.map(() => '---').join(' | ')} |`,
  );
  for (const [index, [name]] of (runs[0]?.rows ?? []).entries()) {
    console.log(`| ${name} | ${runs.map(({ rows }) => rows[index]?.[1]).join(' | ')} |`);
  }
  console.log(`\nload of the machine at the end: ${loadavg()[0]?.toFixed(1)}`);
}
process.exit(runs.every(({ isRight }) => isRight) ? 0 : 1);
