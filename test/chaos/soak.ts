import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { FaultProxy } from '../support/fault-proxy.js';
import { RedisServer } from '../support/redis-server.js';
import { ConstantLoad, type Call } from './constant-load.js';
import { chaosNode, DEADLINE_MS, LEASE_MS } from './fault-bench.js';
import { LinkSplitter } from './link-splitter.js';
import { seededRandom } from './seeded-random.js';
import { strikeUntil } from './soak-faults.js';
import { VersionedSource } from './versioned-source.js';

export interface SoakReport {
  readonly lines: readonly string[];
  readonly complaints: readonly string[];
}

const NODES = ['a', 'b', 'c'];
const KEYS = Array.from({ length: 20 }, (_, index) => `key:${index}`);
const HEAL_MS = 3000;
/** What a busy machine may add, besides what its event loop was seen to be held up for. */
const SLACK_MS = 200;
/** The part of the calls that may wait longer than the deadline: for the load of a process that was cut off. */
const MOST_OVERDUE = 0.002;

/**
 * Three nodes, each with one proxy before its data connection and one before its subscriber, a constant load, and one random
 * fault after the other. Three seconds after the last one all nodes must agree with the source.
 */
export async function soak(seconds: number, seed: number): Promise<SoakReport> {
  const random = seededRandom(seed);
  const rejections: unknown[] = [];
  const onRejection = (reason: unknown): void => void rejections.push(reason);
  process.on('unhandledRejection', onRejection);
  const server = await RedisServer.start();
  const proxies = await Promise.all(
    NODES.flatMap(() => [FaultProxy.start(server.port), FaultProxy.start(server.port)]),
  );
  const splitters = await Promise.all(
    NODES.map((_, index) => LinkSplitter.start(proxies[index * 2]!.port, proxies[index * 2 + 1]!.port)),
  );
  const nodes = NODES.map((name, index) => chaosNode(name, { host: '127.0.0.1', port: splitters[index]!.port }));
  const source = new VersionedSource();
  // A stream of its own: the load asks for numbers by the clock, and the faults are to be the same for the same seed.
  const load = new ConstantLoad(nodes, source, KEYS, seededRandom(seed + 1));
  const loop = monitorEventLoopDelay({ resolution: 5 });
  try {
    await Promise.all(nodes.map(({ cache }) => cache.connect()));
    const heapBefore = heapBytes();
    loop.enable();
    load.start();
    const strikes = await strikeUntil(performance.now() + seconds * 1000, { server, proxies, random });
    await delay(HEAL_MS);
    const unsettled = await load.stop();
    loop.disable();
    const diverged = await load.diverged();
    const loads = source.loads;
    const misses = nodes.reduce((sum, { entries }) => sum + entries.getMetrics().misses, 0);
    const calls = load.calls.splice(0);
    const figures = figuresOf(calls);
    const growth = heapBytes() - heapBefore;
    const loopMs = loop.max / 1e6;
    const waitLimitMs = DEADLINE_MS + SLACK_MS + loopMs;
    const overdue = calls.filter(({ waitedMs }) => waitedMs > waitLimitMs).length;
    return {
      lines: [
        `seed ${seed}, ${seconds} s, ${strikes.length} faults: ${strikes.join(', ')}`,
        `calls ${calls.length}, errors ${figures.errors}, unsettled ${unsettled}, unhandled rejections ${rejections.length}`,
        `wait: p50 ${ms(figures.p50Ms)}, p99 ${ms(figures.p99Ms)}, longest ${ms(figures.longestMs)}, ${overdue} over ${ms(waitLimitMs)}; event loop held up for ${ms(loopMs)} at most`,
        `staleness: longest ${ms(figures.staleMs)}, of their own process ${figures.ownStale} reads; keys diverged ${HEAL_MS / 1000} s after healing: ${diverged.length}`,
        `loads per miss ${(loads / Math.max(1, misses)).toFixed(2)}; heap before ${mib(heapBefore)}, after ${mib(heapBefore + growth)}`,
      ],
      complaints: [
        ...(figures.errors > 0 ? [`${figures.errors} callers got an error`] : []),
        ...(figures.ownStale > 0 ? [`${figures.ownStale} reads contradicted their own process`] : []),
        ...(diverged.length > 0 ? [`stayed out of date: ${diverged.join(', ')}`] : []),
        ...(unsettled > 0 ? [`${unsettled} calls were never answered`] : []),
        ...(rejections.length > 0 ? [`${rejections.length} unhandled rejections`] : []),
        // The lease of a process that was cut off while it loaded holds up others, until it ends.
        ...(figures.longestMs > waitLimitMs + LEASE_MS ? [`too long a wait: ${figures.longest}`] : []),
        ...(overdue > calls.length * MOST_OVERDUE ? [`${overdue} calls waited longer than ${ms(waitLimitMs)}`] : []),
      ],
    };
  } finally {
    loop.disable();
    await load.stop();
    await Promise.all(nodes.map(({ cache }) => cache.close()));
    // In Node a reset of a socket that is shutting down may never end; nobody needs these any more.
    await Promise.race([Promise.all([...splitters, ...proxies].map((each) => each.close())), delay(1000)]);
    await server.stop();
    process.off('unhandledRejection', onRejection);
  }
}

function figuresOf(calls: readonly Call[]) {
  const sorted = calls.toSorted((one, other) => one.waitedMs - other.waitedMs);
  const at = (part: number): number => sorted[Math.floor(sorted.length * part)]?.waitedMs ?? 0;
  const longest = sorted.at(-1);
  return {
    errors: calls.filter(({ error }) => error !== undefined).length,
    ownStale: calls.filter(({ ownStaleMs }) => ownStaleMs > 0).length,
    staleMs: calls.reduce((most, { otherStaleMs }) => Math.max(most, otherStaleMs), 0),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    longestMs: longest?.waitedMs ?? 0,
    longest: `${longest?.kind} ${longest?.key} by ${longest?.node}, ${ms(longest?.waitedMs ?? 0)}`,
  };
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
