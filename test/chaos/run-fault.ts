import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { ConstantLoad, type Call, type ChaosNode } from './constant-load.js';
import { DEADLINE_MS, HEARTBEAT_MS, type Fault, type FaultBench } from './fault-bench.js';
import { netWaitMs } from './call-tally.js';
import { untilAgreed } from './constant-load.js';
import type { MachineNoise } from './machine-noise.js';
import { VersionedSource } from './versioned-source.js';

export interface FaultResult {
  readonly fault: Fault;
  readonly calls: number;
  readonly errors: number;
  /** The longest time that the cache added to a call of the node under the fault, and of the other one. */
  readonly longestMs: number;
  readonly otherLongestMs: number;
  /** The same, without what a busy machine and a busy process add (`callerNetMs`). */
  readonly longestNetMs: number;
  readonly otherLongestNetMs: number;
  /** The median wait of calls made during the fault. */
  readonly medianMs: number;
  /** Calls to which the cache added more than 100 ms. */
  readonly slow: number;
  /** From the end of the fault (or its beginning: `recoversFrom`) until Redis was used again; `undefined`: never. */
  readonly backMs: number | undefined;
  /** The part of that time for which the machine was busy with other work. */
  readonly busyMs: number;
  /** Reads older than an acknowledgement to their own process. */
  readonly ownStale: number;
  /** Reads that were out of date by more than the limit and not excused by the fault. */
  readonly otherStale: number;
  /** The longest time for which a read was out of date, excused or not. */
  readonly longestStaleMs: number;
  readonly diverged: readonly string[];
  readonly unsettled: number;
  /** The longest delay of the event loop of this process. */
  readonly loopDelayMs: number;
  /** The slow calls for keys that the fault does not concern; `undefined`: it concerns all keys. */
  readonly bystandersSlow: number | undefined;
  /** The share of those calls during the fault that used Redis, from 0 to 1. */
  readonly bystandersServed: number | undefined;
}

export const SLOW_MS = 100;
export const BACK_LIMIT_MS = 1500;
const WARM_MS = 400;
const BACK_DEADLINE_MS = 15_000;
/** After a fault the nodes must agree within this time. */
const AGREE_MS = 1500;
const STALE_LIMIT_MS = HEARTBEAT_MS + DEADLINE_MS;
const HOT_KEYS = Array.from({ length: 40 }, (_, index) => `key:${index}`);

/** Runs a constant load through one fault and measures the effects on its callers. */
export async function runFault(fault: Fault, noise: MachineNoise): Promise<FaultResult> {
  const bench = await fault.prepare();
  const loop = monitorEventLoopDelay({ resolution: 5 });
  const source = new VersionedSource();
  const load = new ConstantLoad(bench.nodes, source, bench.keys ?? HOT_KEYS);
  try {
    const uses = watchRedis(bench.nodes[0]);
    if (fault.fromStart) {
      await bench.begin();
    }
    await Promise.all(bench.nodes.map(({ cache }) => cache.connect()));
    loop.enable();
    load.start();
    if (!fault.fromStart) {
      await delay(WARM_MS);
      await bench.begin();
    }
    const beganAtMs = performance.now();
    await delay(fault.lastsMs);
    await bench.heal();
    const healedAtMs = performance.now();
    const backFromMs = fault.recoversFrom === 'begin' ? beganAtMs : healedAtMs;
    await untilUsed(uses, backFromMs, bench);
    await delay(Math.max(0, healedAtMs + AGREE_MS + 500 - performance.now()));
    const unsettled = await load.stop();
    loop.disable();
    const diverged = await untilAgreed(load, () => noise.withinMs(healedAtMs, performance.now()));
    const window = { beganAtMs, healedAtMs, backFromMs };
    const loopDelayMs = loop.max / 1e6;
    return { fault, ...measure(fault, bench, load.calls, uses, window, noise), diverged, unsettled, loopDelayMs };
  } finally {
    loop.disable();
    await load.stop();
    await Promise.all(bench.nodes.map(({ cache }) => cache.close()));
    await bench.stop();
  }
}

interface Use {
  readonly key: string;
  readonly atMs: number;
}

/** The times at which this node stored a value in Redis or read one from it. */
function watchRedis(node: ChaosNode | undefined): Use[] {
  const uses: Use[] = [];
  const { events } = node!.cache;
  events.on('set', ({ key, redis }) => redis && uses.push({ key, atMs: performance.now() }));
  events.on('hit', ({ key, tier }) => tier === 'redis' && uses.push({ key, atMs: performance.now() }));
  return uses;
}

function firstUse(uses: readonly Use[], fromMs: number, { concerns }: FaultBench): Use | undefined {
  return uses.find(({ key, atMs }) => atMs >= fromMs && (concerns?.(key) ?? true));
}

async function untilUsed(uses: readonly Use[], fromMs: number, bench: FaultBench): Promise<void> {
  while (firstUse(uses, fromMs, bench) === undefined && performance.now() - fromMs < BACK_DEADLINE_MS) {
    await delay(10);
  }
}

interface Window {
  readonly beganAtMs: number;
  readonly healedAtMs: number;
  readonly backFromMs: number;
}

type Measures = Omit<FaultResult, 'fault' | 'diverged' | 'unsettled' | 'loopDelayMs'>;

function measure(
  { separates }: Fault,
  bench: FaultBench,
  calls: readonly Call[],
  uses: readonly Use[],
  { beganAtMs, healedAtMs, backFromMs }: Window,
  noise: MachineNoise,
): Measures {
  const isDuring = ({ askedAtMs }: Call): boolean => askedAtMs >= beganAtMs && askedAtMs < healedAtMs;
  const isExcused = ({ askedAtMs }: Call): boolean =>
    separates && askedAtMs >= beganAtMs && askedAtMs < healedAtMs + AGREE_MS;
  const sufferer = bench.nodes[0]?.name;
  const suffering = calls.filter(({ node }) => node === sufferer);
  const others = calls.filter(({ node }) => node !== sufferer);
  const backAtMs = firstUse(uses, backFromMs, bench)?.atMs;
  const { concerns } = bench;
  const bystanders = concerns && suffering.filter((call) => isDuring(call) && !concerns(call.key));
  const served = concerns && uses.filter(({ key, atMs }) => !concerns(key) && atMs >= beganAtMs && atMs < healedAtMs);
  const cold = bystanders?.filter(({ key, kind }) => kind === 'get' && key.split(':').length > 2);
  return {
    calls: calls.length,
    errors: calls.filter(({ error }) => error !== undefined).length,
    longestMs: longest(suffering),
    otherLongestMs: longest(others),
    longestNetMs: longestNet(suffering, noise),
    otherLongestNetMs: longestNet(others, noise),
    medianMs: median(suffering.filter((call) => isDuring(call) && call.kind === 'get').map(({ waitedMs }) => waitedMs)),
    slow: suffering.filter(({ waitedMs }) => waitedMs > SLOW_MS).length,
    backMs: backAtMs === undefined ? undefined : backAtMs - backFromMs,
    busyMs: noise.withinMs(backFromMs, backAtMs ?? performance.now()),
    ownStale: calls.filter(({ ownStaleMs }) => ownStaleMs > 0).length,
    otherStale: calls.filter((call) => isStale(call, noise) && !isExcused(call)).length,
    longestStaleMs: Math.max(0, ...calls.map(({ otherStaleMs }) => otherStaleMs)),
    bystandersSlow: bystanders?.filter(({ waitedMs }) => waitedMs > SLOW_MS).length,
    bystandersServed: served && cold && Math.min(1, served.length / Math.max(1, cold.length)),
  };
}

/** Out of date for longer than the limit, without the time for which the machine was busy meanwhile. */
function isStale({ askedAtMs, otherStaleMs }: Call, noise: MachineNoise): boolean {
  return otherStaleMs - noise.withinMs(askedAtMs - otherStaleMs, askedAtMs) > STALE_LIMIT_MS;
}

/** A process that works for longer at a stretch, or for a larger share of a deadline, counts as busy (docs/guarantees.md). */
const STALL_MS = 50;
const BUSY_SHARE = 0.5;
/** An operation of a busy process gets its deadline anew so many times. */
const MOST_EXTENSIONS = 5;

/** The wait of a call, without that for the machine, and without the deadlines that a busy process is given anew. */
function callerNetMs(call: Call, noise: MachineNoise): number {
  const netMs = netWaitMs(call, noise);
  if (netMs <= DEADLINE_MS) {
    return netMs;
  }
  const [fromMs, toMs] = [call.askedAtMs, call.askedAtMs + call.waitedMs];
  const isBusy = noise.busiestShare(DEADLINE_MS, fromMs, toMs) > BUSY_SHARE;
  const extensions = isBusy ? MOST_EXTENSIONS : Math.min(MOST_EXTENSIONS, noise.countOver(STALL_MS, fromMs, toMs));
  return Math.max(DEADLINE_MS, netMs - extensions * DEADLINE_MS);
}

function longestNet(calls: readonly Call[], noise: MachineNoise): number {
  return Math.max(0, ...calls.map((call) => callerNetMs(call, noise)));
}

function longest(calls: readonly Call[]): number {
  return Math.max(0, ...calls.map(({ waitedMs }) => waitedMs));
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}
