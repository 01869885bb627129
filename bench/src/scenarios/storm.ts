import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { openStormContestants } from '../contestants/storm-calls.js';
import { plainFigures, takeTurns, type Named, type Sample } from '../measure/rounds.js';
import { Worker } from '../support/workers.js';
import type { StormAnswer, StormQuestion } from '../workers/storm.js';
import type { Scenario, Table } from './scenario.js';
import { withServer } from './with-server.js';

const LOADER_MS = 50;
const CALLERS = 1000;
const PROCESSES = 8;
/** In this time every process has read the message. */
const HEAD_START_MS = 40;

export const storm: Scenario = {
  id: 'storm',
  title: 'Miss storm in one process',
  run: ({ seed, quick }) =>
    withServer(async (server) => {
      let loads = 0;
      let loaderMs = 0;
      const load = async () => {
        loads++;
        const startedAtMs = performance.now();
        await delay(LOADER_MS);
        loaderMs = performance.now() - startedAtMs;
        return { title: 'lamp', price: 12 };
      };
      const contestants = await openStormContestants(server.port, load);
      const options = { rounds: quick ? 2 : 15, warmUpRounds: 1, seed };
      const samples = await takeTurns(contestants, options, async ({ call }, round) => {
        loads = 0;
        const startedAtMs = performance.now();
        await Promise.all(Array.from({ length: CALLERS }, () => call(`storm:${round}`)));
        const tookMs = performance.now() - startedAtMs;
        return { loads, overMs: tookMs - loaderMs };
      });
      await Promise.all(contestants.map(({ close }) => close()));
      return tablesOf('storm', `${CALLERS} callers in one process`, samples, 2.8);
    }),
};

export const clusterStorm: Scenario = {
  id: 'storm-cluster',
  title: 'Miss storm in 8 processes',
  run: ({ seed, quick }) =>
    withServer(async (server) => {
      const processes = quick ? 2 : PROCESSES;
      const workers = Array.from({ length: processes }, () => new Worker('workers/storm.js', [String(server.port)]));
      try {
        await Promise.all(workers.map((worker) => worker.ask({ contestant: 'none' })));
        const names = await namesOfContestants(server.port);
        const options = { rounds: quick ? 2 : 12, warmUpRounds: 1, seed };
        const samples = await takeTurns(names, options, async ({ name }, round) => {
          const startAtMs = Date.now() + HEAD_START_MS;
          const callers = CALLERS / PROCESSES;
          const question = { contestant: name, key: `storm:${round}`, callers, loaderMs: LOADER_MS, startAtMs };
          const answers = await Promise.all(
            workers.map((worker) => worker.ask<StormAnswer>(question satisfies StormQuestion)),
          );
          const loads = answers.reduce((sum, answer) => sum + answer.loads, 0);
          const doneAtMs = Math.max(...answers.map((answer) => answer.doneAtMs));
          return { loads, overMs: doneAtMs - startAtMs - LOADER_MS };
        });
        return tablesOf(
          'storm-cluster',
          `${processes} processes with ${CALLERS / PROCESSES} callers each`,
          samples,
          12,
        );
      } finally {
        await Promise.all(workers.map((worker) => worker.stop()));
      }
    }),
};

async function namesOfContestants(port: number): Promise<Named[]> {
  const contestants = await openStormContestants(port, async () => undefined);
  await Promise.all(contestants.map(({ close }) => close()));
  return contestants.map(({ name, role }) => ({ name, role }));
}

function tablesOf(
  id: string,
  callers: string,
  samples: ReadonlyMap<Named, readonly Sample[]>,
  mostMs: number,
): Table[] {
  return [
    {
      id: `${id}-loads`,
      title: `Miss storm, ${callers}: loader runs`,
      unit: '',
      note: `all callers request one key that is in no tier; its loader takes ${LOADER_MS} ms`,
      figures: plainFigures(samples, 'loads'),
      goal: { most: 1 },
    },
    {
      id: `${id}-time`,
      title: `Miss storm, ${callers}: time over the loader`,
      unit: 'ms',
      note: 'from the first call until the last caller has the value, minus the time of the loader',
      figures: plainFigures(samples, 'overMs'),
      goal: { most: mostMs },
    },
  ];
}
