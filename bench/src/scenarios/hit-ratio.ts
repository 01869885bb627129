import { performance } from 'node:perf_hooks';
import { LruPolicy } from '../hit-ratio/lru-policy.js';
import type { EvictionPolicy } from '../hit-ratio/policy.js';
import { S3FifoPolicy } from '../hit-ratio/s3-fifo-policy.js';
import { footprintBytes, generateTraces, type Trace } from '../hit-ratio/traces.js';
import { collect } from '../measure/heap.js';
import { replayLoop } from '../measure/loops.js';
import { figureOf, ratiosToFloor, takeTurns, type Figure } from '../measure/rounds.js';
import { median } from '../measure/statistics.js';
import { figureText } from '../report/text-table.js';
import type { Scenario, Table } from './scenario.js';

const SHARES = [0.01, 0.05, 0.2];
const POLICIES = [
  { name: 'lru-cache', role: 'floor' as const, make: (maxBytes: number) => new LruPolicy(maxBytes) },
  { name: 'S3-FIFO', role: 'peer' as const, make: (maxBytes: number) => new S3FifoPolicy(maxBytes) },
];

export const hitRatio: Scenario = {
  id: 'hit-ratio',
  title: 'Hit ratio of L1 by eviction policy',
  run: async ({ seed, quick }) => {
    const length = quick ? 20_000 : 300_000;
    const cost = await replayCost(seed, length, quick);
    const ratios: Figure[] = [];
    const gains: Figure[] = [];
    for (const trace of generateTraces(seed, length)) {
      const byPolicy = POLICIES.map(({ name, make }) => ({
        name,
        ratios: SHARES.map((share) => hitRatioOf(trace, make(Math.round(footprintBytes(trace) * share)))),
      }));
      const [lru = [], s3fifo = []] = byPolicy.map((each) => each.ratios);
      ratios.push(
        ...byPolicy.map((each) => figureOf({ name: `${trace.name}: ${each.name}`, role: 'peer' }, each.ratios)),
      );
      const points = s3fifo.map((ratio, at) => ratio - (lru[at] ?? Number.NaN));
      gains.push(figureOf({ name: trace.name, role: 'peer' }, points));
    }
    const sizes = `with ${SHARES.map((share) => `${share * 100} %`).join(', ')} of the bytes that a trace asks for`;
    return [
      {
        id: 'hit-ratio',
        title: 'Hit ratio by trace and policy',
        unit: '%',
        note: `median and quartiles over caches ${sizes}`,
        figures: ratios,
      },
      {
        id: 'hit-ratio-gain',
        title: 'Hit ratio of S3-FIFO minus that of lru-cache',
        unit: 'points',
        note: `percentage points at equal bytes, ${sizes}; below zero, lru-cache is better. ${verdictOf(gains)}`,
        figures: gains,
      },
      cost,
    ];
  },
};

/** Generated traces do not decide alone: in most of them the popular keys never change. */
function verdictOf(gains: readonly Figure[]): string {
  const ahead = gains.filter((gain) => gain.median > 0).length;
  const points = figureText(median(gains.map((gain) => gain.median)), 'points');
  return `S3-FIFO is ahead on ${ahead} of ${gains.length} generated traces, the median gain is ${points}. No recorded trace was replayed, so L1 keeps LRU`;
}

function hitRatioOf({ requests }: Trace, policy: EvictionPolicy): number {
  let hits = 0;
  for (const request of requests) {
    if (policy.request(request)) {
      hits++;
    }
  }
  return (hits / requests.length) * 100;
}

/** Each policy replays the trace alone, with nothing else in memory. */
async function replayCost(seed: number, length: number, quick: boolean): Promise<Table> {
  const trace = [...generateTraces(seed, length)].find(({ name }) => name === 'Zipf 0.9');
  if (trace === undefined) {
    throw new Error('no trace for the cost of a replay');
  }
  const maxBytes = Math.round(footprintBytes(trace) * 0.05);
  const replays = POLICIES.map(({ name, role, make }) => {
    const call = 'policy.request(key)';
    const loop = (policy: EvictionPolicy) => replayLoop({ name, role, call, scope: { policy } });
    return { name, role, run: () => loop(make(maxBytes))(trace.requests) };
  });
  const rounds = { rounds: quick ? 2 : 20, warmUpRounds: 3, seed };
  const samples = await takeTurns(replays, rounds, async ({ run }) => {
    collect();
    const startedAtMs = performance.now();
    run();
    return { time: performance.now() - startedAtMs };
  });
  return {
    id: 'hit-ratio-cost',
    title: 'Time to replay a trace',
    unit: 'x',
    note: 'Zipf 0.9, a cache with 5 % of its bytes; 1 is lru-cache',
    figures: ratiosToFloor(samples, 'time'),
  };
}
