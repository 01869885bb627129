import { cachedMethodContestants, METHODS } from '../contestants/cached-method.js';
import { localHitEntrants, OURS } from '../contestants/local-hit.js';
import { closeAll, type Contestant } from '../measure/contestant.js';
import { allocatedBytes } from '../measure/heap.js';
import { serialLoop } from '../measure/loops.js';
import { plainFigures, takeTurns, type Figure } from '../measure/rounds.js';
import type { RedisServer } from '../support/redis-server.js';
import { DataSource } from '../support/data-source.js';
import type { RunOptions, Scenario } from './scenario.js';
import { timePerCall } from './serial-time.js';
import { withServer } from './with-server.js';

/** More entries than the first caches of the processor hold, as in a service. */
const ENTRIES = 10_000;
const QUICK_ENTRIES = 500;
const VALUE_BYTES = 1024;
/** 4000 calls of at most 12 KB each fit into a young generation of 64 MiB, so no collection runs meanwhile. */
const CALLS_PER_SAMPLE = 4000;

/** The speed of the code that V8 compiles differs by up to a third from process to process. */
const PROCESSES = 3;

export const localHit: Scenario = {
  id: 'l1',
  title: 'L1 hit',
  processes: PROCESSES,
  run: (options) =>
    withContestants(options, openLocalHits, async (contestants, source) => {
      const figures = await timePerCall(contestants, source, options);
      const table = { unit: 'x', note: 'time per call; 1 is `await lru.get(key)`', figures } as const;
      return [
        {
          ...table,
          id: 'l1',
          title: 'L1 hit: getOrSet of a 1 KB object',
          goal: { most: 6, contestant: OURS.default },
        },
        {
          ...table,
          id: 'l1-frozen',
          title: 'L1 hit: getOrSet of a 1 KB object that callers share',
          figures: figures.filter(({ name, role }) => role === 'floor' || name === OURS.frozen),
          goal: { most: 1.3, contestant: OURS.frozen },
        },
      ];
    }),
};

export const cachedMethod: Scenario = {
  id: 'method',
  title: 'L1 hit of a decorated method',
  processes: PROCESSES,
  run: (options) =>
    withContestants(options, cachedMethodContestants, async (contestants, source) => [
      {
        id: 'method',
        title: 'L1 hit: decorated method with one string argument',
        unit: 'x',
        note: 'time per call; 1 is an `async` method over lru-cache',
        figures: await timePerCall(contestants, source, options),
        goal: { most: 1.6, contestant: METHODS.frozen },
      },
    ]),
};

export const allocation: Scenario = {
  id: 'bytes',
  title: 'Bytes allocated per L1 hit',
  flags: ['--min-semi-space-size=64', '--max-semi-space-size=64'],
  run: (options) =>
    withContestants(options, openLocalHits, async (contestants, source) => [
      {
        id: 'bytes',
        title: 'Bytes allocated per L1 hit',
        unit: 'B',
        note: 'growth of the heap per call; the `async` function over a Map allocates its promise only',
        figures: await bytesPerCall(contestants, source, options),
        goal: { most: 320, contestant: OURS.frozen },
      },
    ]),
};

function openLocalHits({ port }: RedisServer, source: DataSource): Promise<Contestant[]> {
  return Promise.all(localHitEntrants(port, source).map(({ open }) => open()));
}

async function withContestants<Result>(
  { quick }: RunOptions,
  make: (server: RedisServer, source: DataSource) => Promise<Contestant[]>,
  measure: (contestants: readonly Contestant[], source: DataSource) => Promise<Result>,
): Promise<Result> {
  return withServer(async (server) => {
    const source = new DataSource(quick ? QUICK_ENTRIES : ENTRIES, VALUE_BYTES);
    const contestants = await make(server, source);
    try {
      return await measure(contestants, source);
    } finally {
      await closeAll(contestants);
    }
  });
}

async function bytesPerCall(
  contestants: readonly Contestant[],
  source: DataSource,
  { seed, quick }: RunOptions,
): Promise<Figure[]> {
  const measured = [];
  for (const contestant of contestants) {
    const loop = serialLoop(contestant);
    await source.fill((key) => loop([key], 1));
    await loop(source.keys, quick ? 1000 : 50_000);
    measured.push({ ...contestant, loop });
  }
  const calls = quick ? CALLS_PER_SAMPLE / 4 : CALLS_PER_SAMPLE;
  const samples = await takeTurns(measured, { rounds: quick ? 3 : 15, seed }, async ({ loop }) => {
    let bytes: number | undefined;
    for (let attempt = 0; bytes === undefined && attempt < 5; attempt++) {
      bytes = await allocatedBytes((count) => loop(source.keys, count), calls);
    }
    return { bytes: bytes ?? Number.NaN };
  });
  return plainFigures(samples, 'bytes');
}
