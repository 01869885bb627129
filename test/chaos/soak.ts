import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { CacheMetrics } from 'nestjs-distributed-cache/core';
import { CallTally } from './call-tally.js';
import { ConstantLoad, untilAgreed } from './constant-load.js';
import { DEADLINE_MS, LEASE_MS } from './fault-bench.js';
import { HeapTrend } from './heap-trend.js';
import { MachineNoise } from './machine-noise.js';
import { MixedLoad } from './mixed-load.js';
import { OwnLoadBurst } from './own-load-burst.js';
import { seededRandom } from './seeded-random.js';
import { strikeUntil } from './soak-faults.js';
import { SoakWorld } from './soak-world.js';
import { VersionedSource } from './versioned-source.js';

export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  /**
   * `all`: also tags, batches, early refresh, failing loaders and results that are not stored, and the heap must stay
   * flat.
   */
  readonly mix: 'basic' | 'all';
}

export interface SoakReport {
  readonly lines: readonly string[];
  readonly complaints: readonly string[];
}

const KEYS = Array.from({ length: 20 }, (_, index) => `key:${index}`);
const HEAL_MS = 3000;
/** The time that a busy machine may add, besides the time for which it was measured to be busy. */
const SLACK_MS = 200;
const WAIT_LIMIT_MS = DEADLINE_MS + SLACK_MS;
/** The share of the calls that may wait longer than the deadline: for the load of a disconnected process. */
const MOST_OVERDUE = 0.002;
/**
 * The same, for calls made while the machine is busy all the time: a call takes several steps, and all of them are
 * slow.
 */
const MOST_OVERDUE_WHEN_BUSY = 0.1;
const HEAP_SAMPLES = 60;
/** The number of stale reads that the report describes. */
const MOST_TOLD = 12;
/** A shorter run is too short to measure a slope. */
const LEAST_SECONDS_FOR_A_TREND = 240;
const MOST_GROWTH_PER_MINUTE = 256 * 1024;

/**
 * Three nodes under a constant load and one random fault after another. Three seconds after the last fault all nodes
 * must agree with the source.
 */
export async function soak({ seconds, seed, mix }: SoakOptions): Promise<SoakReport> {
  const random = seededRandom(seed);
  const rejections: unknown[] = [];
  const onRejection = (reason: unknown): void => void rejections.push(reason);
  process.on('unhandledRejection', onRejection);
  const world = await SoakWorld.start(mix === 'all' ? { local: { maxEntries: 500 } } : {});
  const noise = await MachineNoise.start();
  const { nodes } = world;
  const source = new VersionedSource();
  // A separate stream of numbers, so that the same seed gives the same faults: the load uses its stream by the clock.
  const strikes: string[] = [];
  const faults = (): string => strikes.slice(-2).join(', ');
  const load = new ConstantLoad(nodes, source, KEYS, seededRandom(seed + 1), faults);
  const mixed = new MixedLoad(nodes, source, seededRandom(seed + 2), faults);
  const burst = new OwnLoadBurst(source);
  const tally = new CallTally(WAIT_LIMIT_MS, noise);
  const heap = new HeapTrend();
  const loop = monitorEventLoopDelay({ resolution: 5 });
  const heapTimer = setInterval(() => heap.sample(), (seconds * 1000) / HEAP_SAMPLES);
  const tallyTimer = setInterval(() => tally.add(load.calls.splice(0)), 1000);
  try {
    await Promise.all(nodes.map(({ cache }) => cache.connect()));
    heap.sample();
    loop.enable();
    const startedAtMs = performance.now();
    load.start();
    if (mix === 'all') {
      mixed.start();
    }
    await strikeUntil(performance.now() + seconds * 1000, { world, burst, random, strikes });
    clearInterval(heapTimer);
    const healedAtMs = performance.now();
    const busyMs = (): number => noise.withinMs(healedAtMs, performance.now());
    await delay(HEAL_MS);
    const left = await Promise.all([load.stop(), mixed.stop()]);
    const unsettled = left.reduce((sum, count) => sum + count, burst.unsettled);
    loop.disable();
    const diverged = await untilAgreed(load, busyMs, [...KEYS, ...burst.sample, ...(mix === 'all' ? mixed.keys : [])]);
    const health = await Promise.all(nodes.map(({ cache }) => cache.healthCheck()));
    const checks = checksOf(nodes.map(({ entries }) => entries.getMetrics()));
    const misses = nodes.reduce((sum, { entries }) => sum + entries.getMetrics().misses, 0);
    clearInterval(tallyTimer);
    tally.add(load.calls.splice(0));
    heap.sample();
    const errors = tally.errors + burst.errors + mixed.errors.length;
    const ownStale = tally.ownStale + burst.ownStale + mixed.ownStale;
    const isTrend = mix === 'all' && seconds >= LEAST_SECONDS_FOR_A_TREND;
    const { longestNet } = tally;
    const busyPart = noise.busyMs / (healedAtMs - startedAtMs);
    const mostOverdue = tally.count * (MOST_OVERDUE + busyPart * MOST_OVERDUE_WHEN_BUSY);
    const longestLimitMs = WAIT_LIMIT_MS + LEASE_MS + 2 * noise.longestMs;
    return {
      lines: [
        `seed ${seed}, ${seconds} s, ${strikes.length} faults: ${mix === 'all' ? countsOf(strikes) : strikes.join(', ')}`,
        `calls ${tally.count}, ${burst.calls} in bursts, ${mixed.calls} of the mix; errors ${errors}, unsettled ${unsettled}, unhandled rejections ${rejections.length}`,
        `wait: p50 ${ms(tally.quantileMs(0.5))}, p99 ${ms(tally.quantileMs(0.99))}, longest ${ms(tally.longestMs)}, ${tally.overdue} over ${ms(WAIT_LIMIT_MS)} apart from the machine, which held up the event loop for ${ms(loop.max / 1e6)} and a client of a healthy Redis for ${ms(noise.longestMs)}, ${Math.round(busyPart * 100)} % of the time`,
        `staleness: longest ${ms(tally.staleMs)}, of their own process ${ownStale} reads; keys diverged ${HEAL_MS / 1000} s after healing: ${diverged.length}`,
        checks.line,
        `loads per miss ${(source.loads / Math.max(1, misses)).toFixed(2)}; heap before ${mib(heap.firstBytes)}, after ${mib(heap.lastBytes)}, ${mib(heap.bytesPerMinute)} a minute`,
      ],
      complaints: [
        ...(errors > 0 ? [`${errors} callers got an error`] : []),
        ...(ownStale > 0
          ? [
              `${ownStale} reads contradicted their own process: ${tally.ownStale} of the load, ${burst.ownStale} of bursts, ${mixed.ownStale} of the mix (${[...load.contradictions, ...mixed.stale].slice(0, MOST_TOLD).join('; ')})`,
            ]
          : []),
        ...(diverged.length > 0
          ? [`stayed out of date: ${diverged.join(', ')}; health ${JSON.stringify(health)}`]
          : []),
        ...(checks.diverged > 0 ? [`${checks.diverged} consistency checks found a diverged entry`] : []),
        ...(unsettled > 0 ? [`${unsettled} calls were never answered`] : []),
        ...(rejections.length > 0 ? [`${rejections.length} unhandled rejections`] : []),
        // The lease of a process that was disconnected during a load delays other processes until it expires.
        ...(longestNet !== undefined && longestNet.netMs > longestLimitMs
          ? [
              `too long a wait: ${longestNet.call.kind} ${longestNet.call.key} by ${longestNet.call.node}, ${ms(longestNet.netMs)}`,
            ]
          : []),
        ...(tally.overdue > mostOverdue ? [`${tally.overdue} calls waited longer than ${ms(WAIT_LIMIT_MS)}`] : []),
        ...(isTrend && heap.bytesPerMinute > MOST_GROWTH_PER_MINUTE
          ? [`the heap grew by ${mib(heap.bytesPerMinute)} a minute`]
          : []),
      ],
    };
  } finally {
    loop.disable();
    clearInterval(heapTimer);
    clearInterval(tallyTimer);
    await Promise.all([load.stop(), mixed.stop()]);
    await Promise.all([world.stop(), noise.stop()]);
    process.off('unhandledRejection', onRejection);
  }
}

/** What the consistency checks of all nodes have found, and the share of right hits in nines: 99.9 % is three. */
function checksOf(metrics: readonly CacheMetrics[]): { readonly line: string; readonly diverged: number } {
  const sum = (field: 'consistencyEqual' | 'consistencyBehind' | 'consistencyDiverged'): number =>
    metrics.reduce((total, each) => total + each[field], 0);
  const [equal, behind, diverged] = [sum('consistencyEqual'), sum('consistencyBehind'), sum('consistencyDiverged')];
  const count = equal + behind + diverged;
  const nines = -Math.log10(Math.max(diverged, 1) / Math.max(count, 1));
  const shown = `${diverged === 0 ? 'more than ' : ''}${nines.toFixed(1)} nines`;
  return { line: `consistency: ${count} checks, ${behind} behind, ${diverged} diverged: ${shown}`, diverged };
}

/** How often each fault was run, for a list that is too long to print. */
function countsOf(strikes: readonly string[]): string {
  const names = strikes.map((strike) => strike.replace(/ \d+.*$/, ''));
  return [...new Set(names)].map((name) => `${name} ${names.filter((each) => each === name).length}`).join(', ');
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 2 : 1)} MiB`;
}
