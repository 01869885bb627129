import { performance } from 'node:perf_hooks';
import { LruPolicy } from '../hit-ratio/lru-policy.js';
import type { EvictionPolicy } from '../hit-ratio/policy.js';
import { S3FifoPolicy } from '../hit-ratio/s3-fifo-policy.js';
import { footprintBytes, generateTraces, type Trace } from '../hit-ratio/traces.js';
import { figureOf, ratiosToFloor, takeTurns, type Figure } from '../measure/rounds.js';
import type { Scenario } from './scenario.js';

const SHARES = [0.01, 0.05, 0.2];
const POLICIES = [
  { name: 'lru-cache', role: 'floor' as const, make: (maxBytes: number) => new LruPolicy(maxBytes) },
  { name: 'S3-FIFO', role: 'peer' as const, make: (maxBytes: number) => new S3FifoPolicy(maxBytes) },
];

export const hitRatio: Scenario = {
  id: 'hit-ratio',
  title: 'Hit ratio of L1 by eviction policy',
  run: async ({ seed, quick }) => {
    const traces = generateTraces(seed, quick ? 20_000 : 300_000);
    const ratios: Figure[] = [];
    const gains: Figure[] = [];
    for (const trace of traces) {
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
        title: 'What S3-FIFO gains over lru-cache',
        unit: 'points',
        note: `percentage points at equal bytes, ${sizes}; below zero: lru-cache is better`,
        figures: gains,
      },
      await replayCost(traces, quick, seed),
    ];
  },
};

function hitRatioOf({ requests }: Trace, policy: EvictionPolicy): number {
  let hits = 0;
  for (const request of requests) {
    if (policy.request(request)) {
      hits++;
    }
  }
  return (hits / requests.length) * 100;
}

async function replayCost(traces: readonly Trace[], quick: boolean, seed: number) {
  const trace = traces.find(({ name }) => name === 'Zipf 0.9');
  if (trace === undefined) {
    throw new Error('no trace for the cost of a replay');
  }
  const maxBytes = Math.round(footprintBytes(trace) * 0.05);
  const rounds = { rounds: quick ? 2 : 15, warmUpRounds: 2, seed };
  const samples = await takeTurns(POLICIES, rounds, async ({ make }) => {
    const policy = make(maxBytes);
    const startedAtMs = performance.now();
    hitRatioOf(trace, policy);
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
