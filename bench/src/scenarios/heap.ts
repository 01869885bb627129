import { localMemories } from '../contestants/local-memory.js';
import { settledMemory, type MemoryInUse } from '../measure/heap.js';
import { figureOf, type Figure } from '../measure/rounds.js';
import { DataSource } from '../support/data-source.js';
import type { Scenario } from './scenario.js';

export const heap: Scenario = {
  id: 'heap',
  title: 'Heap per entry',
  run: async ({ quick }) => {
    const source = new DataSource(quick ? 1000 : 100_000, 64);
    const [inside, outside]: [Figure[], Figure[]] = [[], []];
    for (const { name, role, open } of localMemories(source.keys.length)) {
      await perEntry(open, source); // the first cache may change the values: not measured
      const samples: MemoryInUse[] = [];
      for (let sample = 0; sample < (quick ? 1 : 3); sample++) {
        samples.push(await perEntry(open, source));
      }
      inside.push(
        figureOf(
          { name, role },
          samples.map(({ heapBytes }) => heapBytes),
        ),
      );
      outside.push(
        figureOf(
          { name, role },
          samples.map(({ outsideBytes }) => outsideBytes),
        ),
      );
    }
    const entries = `${source.keys.length} entries; the keys and values exist before, so the growth is the bookkeeping`;
    return [
      {
        id: 'heap',
        title: 'Heap per L1 entry beyond key and value',
        unit: 'B',
        note: entries,
        figures: inside,
        goal: { most: 60 },
      },
      {
        id: 'heap-outside',
        title: 'Memory outside the heap per L1 entry: typed arrays',
        unit: 'B',
        note: `${entries}; in addition to the heap`,
        figures: outside,
      },
    ];
  },
};

/** Memory that a cache allocates in advance counts as well. */
async function perEntry(
  open: () => Promise<{ put: (key: string, value: object) => unknown; close?: () => Promise<unknown> }>,
  source: DataSource,
): Promise<MemoryInUse> {
  const before = await settledMemory();
  const memory = await open();
  for (const key of source.keys) {
    await memory.put(key, source.valueOf(key));
  }
  const after = await settledMemory();
  await memory.close?.();
  return {
    heapBytes: (after.heapBytes - before.heapBytes) / source.keys.length,
    outsideBytes: (after.outsideBytes - before.outsideBytes) / source.keys.length,
  };
}
