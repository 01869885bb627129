/**
 * `node scripts/measure-warm-up.mjs`: how often L1 answers the first 2,000 requests of a process that starts among three others,
 * with and without `warmUp`. Four processes ask for 20,000 keys by Zipf's law (exponent 1); one is killed and started again, in
 * turn with and without. Then three processes load 150 hot keys of an empty Redis, and the one that loads is killed. Needs `npm
 * run build` and a `redis-server`, takes two minutes. The figures in docs/warm-up.md come from here.
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { findRedisServer } from './find-redis.mjs';

const KEYS = 20_000;
const FIRST = 2_000;
const ROUNDS = 5;
const LOADED = 150;
const RATE = 50;
const VARIANTS = [
  { name: 'without `warmUp`', maxKeys: 0 },
  { name: '`warmUp`, 1,000 keys', maxKeys: 1_000 },
  { name: '`warmUp`, 5,000 keys', maxKeys: 5_000 },
];
const SELF = fileURLToPath(import.meta.url);

if (process.send === undefined) {
  await main();
} else {
  const options = JSON.parse(process.argv[2] ?? '{}');
  await (options.loads === true ? workAndLoad(options) : work(options));
}

/** A process of the application: asks all the time, and tells how its first requests went. */
async function work(/** @type {{ port: number, maxKeys: number }} */ { port, maxKeys }) {
  const { createDistributedCache } = await import('../libs/distributed-cache/dist/core/index.js');
  const cache = await createDistributedCache({
    redis: { host: '127.0.0.1', port },
    ...(maxKeys > 0 && { warmUp: { namespaces: ['users'], maxKeys } }),
  });
  const users = cache.getCache('users');
  await waitFor(() => cache.redis.changes.state === 'live' && cache.warmUp.isWarm);
  const ask = () => {
    const id = Math.floor(KEYS ** Math.random()) - 1;
    return users.getOrSet(`user:${id}`, async () => ({ id, name: `User ${id}`, text: 'x'.repeat(300) }));
  };
  const startedAtMs = performance.now();
  for (let request = 0; request < FIRST; request++) {
    await ask();
  }
  const { localHits, loads } = cache.getMetrics()[0];
  process.send?.({
    share: localHits / FIRST,
    loads,
    microseconds: ((performance.now() - startedAtMs) / FIRST) * 1000,
    warmMs: cache.warmUp.durationMs ?? 0,
    kept: cache.warmUp.counts.kept,
  });
  const answer = async (/** @type {unknown} */ message) => {
    if (message === 'record') {
      await cache.warmUp.record();
      process.send?.('recorded');
    } else {
      const before = cache.getMetrics()[0];
      await delay(500);
      const after = cache.getMetrics()[0];
      process.send?.({ share: (after.localHits - before.localHits) / (after.totalRequests - before.totalRequests) });
    }
  };
  process.on('message', (message) => void answer(message));
  for (;;) {
    await Promise.all(Array.from({ length: 20 }, ask));
    await delay(10);
  }
}

/** A process with Nest that tells of each load. */
async function workAndLoad(/** @type {{ port: number }} */ { port }) {
  await import('reflect-metadata');
  const { Module } = await import('@nestjs/common');
  const { NestFactory } = await import('@nestjs/core');
  const { Cached, DistributedCacheModule } = await import('../libs/distributed-cache/dist/index.js');
  class Users {
    async find(/** @type {number} */ id) {
      process.send?.({ id, atMs: Date.now() });
      await delay(20);
      return { id };
    }
  }
  class Application {}
  const find = Object.getOwnPropertyDescriptor(Users.prototype, 'find') ?? {};
  Cached({ namespace: 'users' })(Users.prototype, 'find', find);
  Object.defineProperty(Users.prototype, 'find', find);
  const warmUp = { namespaces: ['users'], load: { rate: RATE, concurrency: 5 } };
  const root = DistributedCacheModule.forRoot({ redis: { host: '127.0.0.1', port }, warmUp });
  Module({ imports: [root], providers: [Users] })(Application);
  await NestFactory.createApplicationContext(Application, { logger: false });
  await new Promise(() => setInterval(() => {}, 60_000));
}

/** Kills the process that loads, and looks how the others go on. */
async function killLeader(/** @type {number} */ port) {
  const redis = new Redis(port);
  await redis.flushall(); // the server is this script's own
  const scores = Array.from({ length: LOADED }, (_, id) => [LOADED - id, `Users.find(${id})`]).flat();
  await redis.zadd('cache:{#hot:users}', ...scores);
  const loads = [];
  const children = [1, 2, 3].map(() => {
    const child = fork(SELF, [JSON.stringify({ port, loads: true })]);
    child.on('message', (load) => loads.push({ ...load, child }));
    return child;
  });
  try {
    await waitFor(() => loads.length >= LOADED / 3);
    const [{ child: leader }] = loads;
    leader.kill('SIGKILL');
    const killedAtMs = Date.now();
    await once(leader, 'exit');
    await waitFor(() => new Set(loads.map(({ id }) => id)).size === LOADED || Date.now() - killedAtMs > 30_000);
    const next = loads.find(({ child }) => child !== leader);
    const most = Math.max(
      ...loads.map(({ atMs }) => loads.filter((load) => load.atMs >= atMs && load.atMs < atMs + 1000).length),
    );
    const keys = new Set(loads.map(({ id }) => id)).size;
    console.log(
      `leader killed: another one loads after ${next.atMs - killedAtMs} ms; ${keys} of ${LOADED} keys loaded, ${loads.length - keys} that it had not stored once more; ${most} loads in a second at most (rate ${RATE})`,
    );
  } finally {
    children.forEach((child) => child.kill('SIGKILL'));
    redis.disconnect();
  }
}

async function main() {
  const port = await freePort();
  const redis = spawn(findRedisServer() ?? 'redis-server', ['--port', `${port}`, '--save', '', '--appendonly', 'no']);
  const workers = [];
  try {
    await delay(500);
    for (let index = 0; index < 4; index++) {
      workers.push(await started(port, 5_000));
    }
    await delay(10_000);
    const results = new Map(VARIANTS.map((variant) => [variant, []]));
    const shares = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (const variant of VARIANTS) {
        await Promise.all(workers.map(({ child }) => asked(child, 'record')));
        shares.push((await asked(workers[0].child, 'share')).share);
        const { child } = workers.pop();
        child.kill('SIGKILL');
        await once(child, 'exit');
        const worker = await started(port, variant.maxKeys);
        results.get(variant)?.push(worker.first);
        workers.push(worker);
        await delay(1_000);
      }
    }
    console.log(`L1 share of the other processes: ${percent(median(shares))}`);
    console.log('| | L1 share of the first 2,000 requests | time of a request | warm-up | loads |');
    console.log('| --- | --- | --- | --- | --- |');
    for (const [{ name }, all] of results) {
      const of = (/** @type {string} */ field) => median(all.map((each) => each[field]));
      const cells = [
        name,
        percent(of('share')),
        `${of('microseconds').toFixed(0)} µs`,
        `${of('warmMs').toFixed(0)} ms`,
        of('loads'),
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
    workers.splice(0).forEach(({ child }) => child.kill('SIGKILL'));
    await killLeader(port);
  } finally {
    workers.forEach(({ child }) => child.kill('SIGKILL'));
    redis.kill();
  }
}

async function started(/** @type {number} */ port, /** @type {number} */ maxKeys) {
  const child = fork(SELF, [JSON.stringify({ port, maxKeys })]);
  const [first] = await once(child, 'message');
  return { child, first };
}

async function asked(/** @type {import('node:child_process').ChildProcess} */ child, /** @type {string} */ question) {
  const answer = once(child, 'message');
  child.send(question);
  return (await answer)[0];
}

async function waitFor(/** @type {() => boolean} */ isDone) {
  while (!isDone()) {
    await delay(2);
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  return port;
}

/** @param {readonly number[]} numbers */
function median(numbers) {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? 0;
}

function percent(/** @type {number} */ share) {
  return `${(share * 100).toFixed(0)} %`;
}
