import { performance } from 'node:perf_hooks';
import { LRUCache } from 'lru-cache';
import { createDistributedCache } from 'nestjs-distributed-cache/core';
import type { Contestant } from '../measure/contestant.js';
import { serialLoop } from '../measure/loops.js';
import { figureOf, takeTurns, type Figure } from '../measure/rounds.js';
import { ratiosByRound } from '../measure/statistics.js';
import type { Goal, RunOptions, Scenario } from './scenario.js';

/** A key in one of several namespaces. */
interface PlacedKey {
  readonly place: number;
  readonly key: string;
}

const CALLS = 20_000;
const SPREAD_ENTRIES = 64_000;
const FLOOR = 'await lru.get(key)';
const STRIDE = 7919;

export const growth: Scenario = {
  id: 'growth',
  title: 'L1 hits as the cache grows',
  flags: ['--max-old-space-size=4096'],
  run: async (options) => {
    const entries = options.quick ? [1000, 10_000] : [1000, 100_000, 1_000_000];
    const byEntries: Figure[] = [];
    for (const count of entries) {
      byEntries.push(await hitAt(`${count.toLocaleString('en')} entries`, count, 1, options));
    }
    const byNamespaces: Figure[] = [];
    for (const namespaces of [1, 8, 64]) {
      const name = namespaces === 1 ? '1 namespace' : `${namespaces} namespaces`;
      byNamespaces.push(await hitAt(name, options.quick ? 6400 : SPREAD_ENTRIES, namespaces, options));
    }
    const note =
      'time per call of getOrSet of frozen values; 1 is `await lru.get(key)` with the same number of entries';
    return [
      {
        id: 'growth-entries',
        title: 'L1 hit as entries grow',
        unit: 'x',
        note,
        figures: byEntries,
        ...goalOf(byEntries),
      },
      {
        id: 'growth-namespaces',
        title: 'L1 hit as namespaces grow',
        unit: 'x',
        note: `${note}: 64,000`,
        figures: byNamespaces,
        ...goalOf(byNamespaces),
      },
    ];
  },
};

/** The goal is 1.2 times the ratio of the smallest cache. */
function goalOf(figures: readonly Figure[]): { goal?: Goal } {
  const [first, last] = [figures[0], figures.at(-1)];
  return first === undefined || last === undefined ? {} : { goal: { most: first.median * 1.2, contestant: last.name } };
}

/** Without Redis: writing a million entries to it would take minutes, and an L1 hit does not read it. */
async function hitAt(name: string, entries: number, namespaces: number, { seed, quick }: RunOptions): Promise<Figure> {
  const distributed = await createDistributedCache({ redis: false, local: { maxMemoryMb: 4000, values: 'frozen' } });
  const caches = Array.from({ length: namespaces }, (_, at) => distributed.getCache<object>(`space-${at}`));
  const lru = new LRUCache<string, object>({ max: entries });
  const keys: PlacedKey[] = Array.from({ length: entries }, (_, at) => ({ place: at % namespaces, key: `key:${at}` }));
  for (const { place, key } of keys) {
    const value = { key };
    await caches[place]?.set(key, value);
    lru.set(key, value);
  }
  const load = async () => ({});
  const contestants: Contestant[] = [
    { name: `${FLOOR}, ${name}`, role: 'floor', call: 'lru.get(key.key)', scope: { lru } },
    { name, role: 'ours', call: 'caches[key.place].getOrSet(key.key, load)', scope: { caches, load } },
  ];
  const measured = contestants.map((contestant) => ({
    name: contestant.name,
    role: contestant.role,
    loop: serialLoop(contestant),
  }));
  const turns = { rounds: quick ? 1 : 30, warmUpRounds: quick ? 0 : 8, seed };
  const samples = await takeTurns(measured, turns, async ({ loop }, round) => {
    const asked = Array.from(
      { length: CALLS },
      (_, at) => keys[((at + round * CALLS + CALLS * 100) * STRIDE) % entries] as PlacedKey,
    );
    const startedAtMs = performance.now();
    await loop(asked, asked.length);
    return { time: performance.now() - startedAtMs };
  });
  await distributed.close();
  const [floor, ours] = measured.map((each) => (samples.get(each) ?? []).map(({ time = Number.NaN }) => time));
  return figureOf({ name, role: 'ours' }, ratiosByRound(ours ?? [], floor ?? []));
}
