/**
 * One operating system process of `npm run fleet`: some caches with connections of their own, each as a process of an application
 * has them. It reads and writes at a steady rate, and reports what its caches and its readers saw. The parent commands it by messages.
 */
import { Redis } from 'ioredis';
import { createDistributedCache } from 'nestjs-distributed-cache/core';
import { zipf } from './zipf.mjs';

const TICK_MS = 20;
/** The hottest keys, of which every read is recorded. */
const PROBED_KEYS = 50;

/** @typedef {{ number: number, processes: number, caches: number, keys: number, database: string, redis: Record<string, unknown> }} Options */

/** @type {Options} */
const options = JSON.parse(process.argv[2] ?? '{}');
const database = new Redis(options.database);
database.on('error', () => {});
const instances = await Promise.all(
  Array.from({ length: options.caches }, () => createDistributedCache({ redis: options.redis })),
);
const caches = instances.map((instance) => instance.getCache('fleet'));
const nextKey = zipf(options.keys);
const now = () => Number(process.hrtime.bigint() / 1000n) / 1000; // one clock for all processes of a machine, in ms

/** Per cache and probed key: when each version was last returned. @type {Map<string, number>[]} */
let lastSeen = caches.map(() => new Map());
/** When each new version of a probed key was acknowledged. @type {Map<string, number>} */
let acknowledged = new Map();
/** The versions that loaders read. @type {string[]} */
let loaded = [];
let errors = 0;
const writing = new Set();

/** @param {number} key */
const load = (key) => async () => {
  const version = Number((await database.get(String(key))) ?? 0);
  loaded.push(`${key}:${version}`);
  return { version, text: 'x'.repeat(300) };
};

/** @param {number} index @param {number} key */
async function read(index, key) {
  const startedAt = now();
  try {
    const value = await caches[index]?.getOrSet(String(key), load(key));
    if (key < PROBED_KEYS && value !== undefined) {
      lastSeen[index]?.set(`${key}:${value.version}`, startedAt);
    }
  } catch {
    errors += 1;
  }
}

/** Changes a key of this process in the database, then in the cache: every second time by deletion. @param {number} key */
async function write(key) {
  const cache = caches[key % caches.length];
  if (cache === undefined || writing.has(key)) {
    return;
  }
  writing.add(key);
  try {
    const version = await database.incr(String(key));
    const isStored =
      version % 2 === 0
        ? (await cache.delete(String(key)), true)
        : await cache.set(String(key), { version, text: 'x'.repeat(300) });
    if (isStored && key < PROBED_KEYS) {
      acknowledged.set(`${key}:${version}`, now());
    }
  } catch {
    errors += 1;
  }
  writing.delete(key);
}

/** A key that only this process writes, so that the order of its versions is known. */
function ownKey() {
  const key = nextKey();
  return Math.min(options.keys - 1, key - (key % options.processes) + options.number);
}

/** @param {{ reads: number, writes: number }} rates per second, of this process */
function startLoad({ reads, writes }) {
  let next = 0;
  let [dueReads, dueWrites] = [0, 0];
  return setInterval(() => {
    dueReads += (reads * TICK_MS) / 1000;
    dueWrites += (writes * TICK_MS) / 1000;
    for (; dueReads >= 1; dueReads--) {
      void read(next++ % caches.length, nextKey());
    }
    for (; dueWrites >= 1; dueWrites--) {
      void write(ownKey());
    }
  }, TICK_MS);
}

/** What was counted since the last report. */
function report() {
  const counters = caches.map((cache) => cache.getMetrics().toJSON());
  const sum = (/** @type {string} */ name) => counters.reduce((total, each) => total + Number(each[name] ?? 0), 0);
  const found = {
    hits: sum('hits'),
    localHits: sum('local_hits'),
    redisHits: sum('redis_hits'),
    misses: sum('misses'),
    requests: sum('total_requests'),
    errors,
    loaded,
    lastSeen: lastSeen.map((seen) => Array.from(seen)),
    acknowledged: [...acknowledged],
  };
  lastSeen = caches.map(() => new Map());
  acknowledged = new Map();
  loaded = [];
  errors = 0;
  return found;
}

/** The caches that do not trust their invalidation channel, and the homes of all of them. */
async function health() {
  const found = await Promise.all(instances.map((instance) => instance.healthCheck()));
  const homes = found.map((each) => each.toJSON().home ?? 'primary');
  return { notUp: found.filter(({ status }) => status !== 'up').length, homes };
}

/** How many caches return an old version of a probed key. */
async function differences() {
  const versions = await database.mget(Array.from({ length: PROBED_KEYS }, (_, key) => String(key)));
  const differing = await Promise.all(
    caches.map(async (cache) => {
      const values = await cache.getMany(versions.map((_, key) => String(key)));
      return values.filter((value, key) => value !== undefined && value.version !== Number(versions[key] ?? 0)).length;
    }),
  );
  return differing.reduce((total, count) => total + count, 0);
}

/** @type {NodeJS.Timeout | undefined} */
let running;
/** @type {Record<string, (rates: { reads: number, writes: number }) => unknown>} */
const commands = {
  start: (rates) => void (running = startLoad(rates)),
  stop: () => clearInterval(running),
  report,
  health,
  differences,
  async end() {
    clearInterval(running);
    await Promise.all(instances.map((instance) => instance.close()));
    database.disconnect();
  },
};
/** @param {{ id: number, name: string, argument: { reads: number, writes: number } }} message */
async function answer({ id, name, argument }) {
  const result = await commands[name]?.(argument);
  process.send?.({ id, result }, () => name === 'end' && process.disconnect());
}
process.on('message', (/** @type {Parameters<typeof answer>[0]} */ message) => void answer(message));
process.on('disconnect', () => process.exit());
process.send?.({ id: 0 });
