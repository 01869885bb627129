/** Twenty workers that use one cache during an outage of Redis. A separate process, because some caches end theirs. */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { OUTAGE_CONTESTANTS } from '../contestants/outage-calls.js';
import { quantile } from '../measure/statistics.js';
import { answerParent } from '../support/workers.js';

export interface OutageQuestion {
  readonly task: 'begin' | 'end';
}

export interface OutageAnswer {
  readonly calls: number;
  readonly errors: number;
  /** 99th percentile of the time of a call minus the time of its loader, in milliseconds. */
  readonly p99Ms: number;
  readonly worstMs: number;
}

const WORKERS = 20;
const KEYS = 400;
const LOADER_MS = 5;
const PAUSE_MS = 2;

const [port, name] = process.argv.slice(2);
const contestant = OUTAGE_CONTESTANTS.find((each) => each.name === name);
if (contestant === undefined) {
  throw new Error(`no contestant ${name}`);
}

process.on('uncaughtException', () => errors++);
process.on('unhandledRejection', () => errors++);

const { call } = await contestant.open(Number(port));
const overMs: number[] = [];
let errors = 0;
const over = new AbortController();
const pending = new Set<number>();

async function work(worker: number): Promise<void> {
  for (let turn = 0; !over.signal.aborted; turn++) {
    const key = `outage:${(worker * 31 + turn * 17) % KEYS}`;
    let loaderMs = LOADER_MS;
    const load = async () => {
      const loadsAtMs = performance.now();
      await delay(LOADER_MS);
      loaderMs = Math.max(LOADER_MS, performance.now() - loadsAtMs);
      return { title: 'lamp', price: 12 };
    };
    const startedAtMs = performance.now();
    pending.add(startedAtMs);
    try {
      await call(key, load);
    } catch {
      errors++;
    }
    pending.delete(startedAtMs);
    overMs.push(Math.max(0, performance.now() - startedAtMs - loaderMs));
    await delay(PAUSE_MS);
  }
}

answerParent(async (asked): Promise<OutageAnswer> => {
  const { task } = asked as OutageQuestion;
  if (task === 'begin') {
    overMs.length = 0;
    for (let worker = 0; worker < WORKERS; worker++) {
      void work(worker);
    }
    return { calls: 0, errors: 0, p99Ms: 0, worstMs: 0 };
  }
  over.abort();
  const endedAtMs = performance.now();
  const all = [...overMs, ...[...pending].map((startedAtMs) => endedAtMs - startedAtMs)];
  return { calls: all.length, errors, p99Ms: quantile(all, 0.99), worstMs: Math.max(...all) };
});
