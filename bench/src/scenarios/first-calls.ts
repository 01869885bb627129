import { FIRST_CALLS, type Operation } from '../contestants/first-calls.js';
import { ratiosToFloor, takeTurns } from '../measure/rounds.js';
import type { RedisServer } from '../support/redis-server.js';
import { DataSource } from '../support/data-source.js';
import { Worker } from '../support/workers.js';
import type { FirstCallsAnswer, FirstCallsQuestion } from '../workers/first-calls.js';
import { fillRedis } from './remote-hit.js';
import type { RunOptions, Scenario, Table } from './scenario.js';
import { withServer } from './with-server.js';

const OPERATIONS: readonly { readonly operation: Operation; readonly title: string; readonly floor: string }[] = [
  { operation: 'l1', title: 'L1 hit, 20 keys of 1 KB', floor: '`await lru.get(key)`' },
  { operation: 'l2', title: 'L2 hit of 1 KB, cold L1', floor: '`get` of ioredis and `JSON.parse`' },
  { operation: 'set', title: 'set of 1 KB through both tiers', floor: '`set` of ioredis and `JSON.stringify`' },
  { operation: 'miss', title: 'miss of 1 KB', floor: '`get` of ioredis, the loader, `set` of ioredis, and JSON' },
];

export const firstCalls: Scenario = {
  id: 'first-calls',
  title: 'The first calls of a process',
  run: async (options) => {
    const tables: Table[] = [];
    for (const { operation, title, floor } of OPERATIONS) {
      tables.push(await withServer((server) => measure(operation, title, floor, server, options)));
    }
    return tables;
  },
};

/** A turn is a process: it opens one contestant, makes the calls without a warm-up, and ends. */
async function measure(
  operation: Operation,
  title: string,
  floor: string,
  { port }: RedisServer,
  { seed, quick }: RunOptions,
): Promise<Table> {
  const calls = quick ? 200 : 2000;
  const stored = new DataSource(calls, 1024, 'stored');
  const all = FIRST_CALLS[operation](port, stored);
  const entrants = quick ? all.filter(({ role }) => role !== 'peer') : all;
  if (operation === 'l2') {
    await fillRedis(entrants, stored);
  }
  const samples = await takeTurns(entrants, { rounds: quick ? 1 : 5, seed }, async ({ name }, round) => {
    const keyPrefix = operation === 'l2' ? 'stored' : `round-${round}`;
    const worker = new Worker('workers/first-calls.js', []);
    try {
      const question: FirstCallsQuestion = { operation, port, contestant: name, keyPrefix, calls };
      const { msPerCall, loads } = await worker.ask<FirstCallsAnswer>(question);
      if (loads !== (operation === 'miss' ? calls : 0)) {
        throw new Error(`${name} ran the loader ${loads} times in ${calls} calls of ${operation}`);
      }
      return { time: msPerCall };
    } finally {
      await worker.stop();
    }
  });
  return {
    id: `first-calls-${operation}`,
    title: `The first ${calls.toLocaleString('en')} calls of a process: ${title}`,
    unit: 'x',
    note: `time per call, one at a time, mean of all calls, without a warm-up; a new process per contestant and round; 1 is ${floor}`,
    figures: ratiosToFloor(samples, 'time'),
  };
}
