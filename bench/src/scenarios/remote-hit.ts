import { readEntrants, readManyEntrants, writeEntrants } from '../contestants/two-tier-calls.js';
import type { Contestant, Entrant } from '../measure/contestant.js';
import { serialLoop } from '../measure/loops.js';
import { ratiosToFloor, takeTurns, type Sample } from '../measure/rounds.js';
import { DataSource } from '../support/data-source.js';
import type { RunOptions, Scenario, Table } from './scenario.js';
import { cpuAtOnce, timeAlone } from './turn.js';
import { withServer } from './with-server.js';

interface ColdRead {
  readonly id: string;
  readonly title: string;
  readonly valueBytes: number;
  /** The number of keys that are read one at a time, and after them a hundred at once. */
  readonly alone: number;
  readonly atOnce: number;
  readonly rounds: number;
  readonly goals: { readonly alone: number; readonly cpu: number | undefined };
}

export const remoteHit = coldRead({
  id: 'l2',
  title: 'L2 hit of 1 KB, cold L1',
  valueBytes: 1024,
  alone: 300,
  atOnce: 1000,
  rounds: 20,
  goals: { alone: 1.25, cpu: 1.4 },
});

export const remoteHitLarge = coldRead({
  id: 'l2-large',
  title: 'L2 hit of 100 KB, cold L1',
  valueBytes: 100 * 1024,
  alone: 50,
  atOnce: 100,
  rounds: 12,
  goals: { alone: 1.1, cpu: undefined },
});

function coldRead({ id, title, valueBytes, alone, atOnce, rounds, goals }: ColdRead): Scenario {
  return {
    id,
    title,
    run: (options) =>
      withServer(async (server) => {
        const keysAlone = options.quick ? 10 : alone;
        const source = new DataSource(keysAlone + (options.quick ? 20 : atOnce), valueBytes);
        const entrants = readEntrants(server.port, source.load);
        await fillRedis(entrants, source);
        const filledAfter = source.loads;
        const samples = await turnsOnNewCaches(entrants, rounds, options, async (contestant) => ({
          alone: await timeAlone(contestant, source.keys.slice(0, keysAlone)),
          cpu: await cpuAtOnce(contestant, source.keys.slice(keysAlone)),
        }));
        if (source.loads !== filledAfter) {
          throw new Error(`${source.loads - filledAfter} loader runs, although every call should be a hit`);
        }
        return twoTables({ id, title, floor: '`get` of ioredis and `JSON.parse`' }, samples, goals);
      }),
  };
}

const GROUP = 100;

export const remoteMany: Scenario = {
  id: 'many',
  title: 'getMany of 100 keys of 1 KB, cold L1',
  run: (options) =>
    withServer(async (server) => {
      const groups = options.quick ? 2 : 12;
      const source = new DataSource(groups * GROUP, 1024);
      await fillRedis(writersOf(readEntrants(server.port, source.load)), source);
      const keys = Array.from({ length: groups }, (_, at) => source.keys.slice(at * GROUP, (at + 1) * GROUP));
      const entrants = readManyEntrants(server.port);
      const samples = await turnsOnNewCaches(entrants, 20, options, async (contestant) => ({
        alone: await answered(contestant, keys[0], () => timeAlone(contestant, keys)),
      }));
      return [
        {
          id: 'many',
          title: 'getMany of 100 keys of 1 KB, cold L1',
          unit: 'x',
          note: 'time per call, mean of the fastest tenth; 1 is `MGET` of ioredis and `JSON.parse`',
          figures: ratiosToFloor(samples, 'alone'),
          goal: { most: 2 },
        },
      ];
    }),
};

export const write: Scenario = {
  id: 'set',
  title: 'set of 1 KB through both tiers',
  run: (options) =>
    withServer(async (server) => {
      const source = new DataSource(options.quick ? 400 : 1300, 1024);
      const texts = source.keys.map((key) => ({ key, text: JSON.stringify(source.valueOf(key)) }));
      const samples = await turnsOnNewCaches(writeEntrants(server.port), 20, options, async (contestant) => {
        const items = texts.map(({ key, text }) => ({ key, value: JSON.parse(text) as object }));
        return {
          alone: await timeAlone(contestant, items.slice(0, 300)),
          cpu: await cpuAtOnce(contestant, items.slice(300)),
        };
      });
      const about = {
        id: 'set',
        title: 'set of 1 KB through both tiers, other processes notified',
        floor: '`set` of ioredis and `JSON.stringify`',
      };
      return twoTables(about, samples, { alone: 1.4, cpu: 1.8 });
    }),
};

/** Contestants with one tier have no call for several keys. */
function writersOf(entrants: readonly Entrant[]): Entrant[] {
  return entrants.filter(({ name }) => !name.includes('one tier'));
}

export async function fillRedis(entrants: readonly Entrant[], source: DataSource): Promise<void> {
  for (const entrant of entrants) {
    const contestant = await entrant.open();
    const call = entrant.role === 'floor' ? 'cache.getOrSet(key, load)' : contestant.call;
    const loop = serialLoop({ ...contestant, call, scope: { ...contestant.scope, load: source.load } });
    await source.fill((key) => loop([key], 1));
    await contestant.close?.();
  }
}

/** Runs `work`, and then checks that the contestant finds all keys: a miss would be faster. @throws if one is missing */
async function answered<Result>(contestant: Contestant, key: unknown, work: () => Promise<Result>): Promise<Result> {
  const result = await work();
  const answer = await serialLoop(contestant)([key], 1);
  if (!Array.isArray(answer) || answer.length !== GROUP || answer.includes(undefined)) {
    throw new Error(`${contestant.name} did not find all of ${GROUP} keys`);
  }
  return result;
}

/** Opens the contestant anew for each turn, so its memory is empty. */
async function turnsOnNewCaches(
  entrants: readonly Entrant[],
  rounds: number,
  { seed, quick }: RunOptions,
  turn: (contestant: Contestant) => Promise<Sample>,
): Promise<Map<Entrant, Sample[]>> {
  const counted = quick ? { rounds: 1, warmUpRounds: 0 } : { rounds, warmUpRounds: 3 };
  return takeTurns(entrants, { ...counted, seed }, async (entrant) => {
    const contestant = await entrant.open();
    try {
      return await turn(contestant);
    } finally {
      await contestant.close?.();
    }
  });
}

function twoTables(
  { id, title, floor }: { id: string; title: string; floor: string },
  samples: ReadonlyMap<Entrant, readonly Sample[]>,
  goals: ColdRead['goals'],
): Table[] {
  return [
    {
      id,
      title: `${title}: one at a time`,
      unit: 'x',
      note: `time per call, mean of the fastest tenth; 1 is ${floor}`,
      figures: ratiosToFloor(samples, 'alone'),
      goal: { most: goals.alone },
    },
    {
      id: `${id}-cpu`,
      title: `${title}: 100 at once`,
      unit: 'x',
      note: `processor time of the process per call; 1 is ${floor}`,
      figures: ratiosToFloor(samples, 'cpu'),
      ...(goals.cpu === undefined ? {} : { goal: { most: goals.cpu } }),
    },
  ];
}
