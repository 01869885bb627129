import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { OUTAGE_CONTESTANTS } from '../contestants/outage-calls.js';
import { figureOf, type Figure, type Named } from '../measure/rounds.js';
import type { RedisServer } from '../support/redis-server.js';
import { Worker } from '../support/workers.js';
import type { OutageAnswer, OutageQuestion } from '../workers/outage.js';
import type { Scenario, Table } from './scenario.js';
import { withServer } from './with-server.js';

type Fault = 'killed' | 'frozen';

interface Outcome extends OutageAnswer {
  /** `Infinity`: not within `BACK_WITHIN_MS`. */
  readonly backMs: number;
}

const WARM_MS = 1000;
const BACK_WITHIN_MS = 4000;

export const outage: Scenario = {
  id: 'outage',
  title: 'Redis killed or frozen',
  run: async ({ quick }) => {
    const outageMs = quick ? 500 : 5000;
    const contestants = quick ? OUTAGE_CONTESTANTS.slice(0, 2) : OUTAGE_CONTESTANTS;
    const tables: Table[] = [];
    for (const fault of ['killed', 'frozen'] as const) {
      const outcomes: [Named, Outcome][] = [];
      for (const { name, role } of contestants) {
        outcomes.push([{ name, role }, await withServer((server) => measureOutage(server, name, fault, outageMs))]);
      }
      tables.push(...tablesOf(fault, outageMs, outcomes));
    }
    return tables;
  },
};

async function measureOutage(server: RedisServer, name: string, fault: Fault, outageMs: number): Promise<Outcome> {
  const worker = new Worker('workers/outage.js', [String(server.port), name]);
  try {
    const ask = (question: OutageQuestion) => worker.ask<OutageAnswer>(question);
    await ask({ task: 'begin' });
    await delay(WARM_MS);
    await (fault === 'killed' ? server.kill() : server.freeze());
    await delay(outageMs);
    await (fault === 'killed' ? server.launch() : server.thaw());
    const backMs = name === 'no cache' ? 0 : await writtenAgainAfterMs(server);
    await delay(500);
    return { ...(await ask({ task: 'end' })), backMs };
  } finally {
    await worker.stop();
  }
}

/** The time from the first answer of the empty Redis until it holds a key. */
async function writtenAgainAfterMs(server: RedisServer): Promise<number> {
  const client = new Redis({ host: server.host, port: server.port });
  try {
    await client.flushall();
    const backAtMs = performance.now();
    while ((await client.dbsize()) === 0) {
      if (performance.now() - backAtMs > BACK_WITHIN_MS) {
        return Number.POSITIVE_INFINITY;
      }
      await delay(1);
    }
    return performance.now() - backAtMs;
  } finally {
    client.disconnect();
  }
}

function tablesOf(fault: Fault, outageMs: number, outcomes: readonly [Named, Outcome][]): Table[] {
  const head = `Redis ${fault} for ${outageMs / 1000} s`;
  const figures = (measure: (outcome: Outcome) => number): Figure[] =>
    outcomes.map(([contestant, outcome]) => figureOf(contestant, [measure(outcome)]));
  return [
    {
      id: `outage-${fault}-errors`,
      title: `${head}: errors`,
      unit: '',
      note: 'errors that reach a caller or the process; 20 workers make calls before, during and after the outage',
      figures: figures(({ errors }) => errors),
      goal: { most: 0 },
    },
    {
      id: `outage-${fault}-p99`,
      title: `${head}: 99th percentile of a call, over its loader`,
      unit: 'ms',
      note: 'time of a call minus the time of its loader, which takes 5 ms; a call without an answer at the end counts with the time since its start. A worker whose call hangs makes no further calls, so the percentile hides a long standstill: see the worst call',
      figures: figures(({ p99Ms }) => p99Ms),
      goal: { most: 5 },
    },
    {
      id: `outage-${fault}-worst`,
      title: `${head}: worst call, over its loader`,
      unit: 'ms',
      note: 'time of the longest call minus the time of its loader',
      figures: figures(({ worstMs }) => worstMs),
    },
    {
      id: `outage-${fault}-back`,
      title: `${head}: time until Redis is written to again`,
      unit: 'ms',
      note: `from the first answer of Redis; n/a: not within ${BACK_WITHIN_MS / 1000} s`,
      figures: figures(({ backMs }) => backMs),
      goal: { most: 100 },
    },
  ];
}
