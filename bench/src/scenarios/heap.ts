import { localMemories } from '../contestants/local-memory.js';
import { settledMemory, type MemoryInUse } from '../measure/heap.js';
import { figureOf, type Figure } from '../measure/rounds.js';
import { Shelf } from '../support/shelf.js';
import type { Scenario } from './scenario.js';

export const heap: Scenario = {
  id: 'heap',
  title: 'Heap per entry',
  run: async ({ quick }) => {
    const shelf = new Shelf(quick ? 1000 : 100_000, 64);
    const [inside, outside]: [Figure[], Figure[]] = [[], []];
    for (const { name, role, open } of localMemories(shelf.keys.length)) {
      await perEntry(open, shelf); // what the first one does to the values, such as freezing them, is no bookkeeping
      const samples: MemoryInUse[] = [];
      for (let sample = 0; sample < (quick ? 1 : 3); sample++) {
        samples.push(await perEntry(open, shelf));
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
    const entries = `${shelf.keys.length} entries; keys and values were there before, so what grows is bookkeeping`;
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
        note: `${entries}; comes on top of the heap`,
        figures: outside,
      },
    ];
  },
};

/** What is taken ahead when a memory is opened counts as well. */
async function perEntry(
  open: () => Promise<{ put: (key: string, value: object) => unknown; close?: () => Promise<unknown> }>,
  shelf: Shelf,
): Promise<MemoryInUse> {
  const before = await settledMemory();
  const memory = await open();
  for (const key of shelf.keys) {
    await memory.put(key, shelf.valueOf(key));
  }
  const after = await settledMemory();
  await memory.close?.();
  return {
    heapBytes: (after.heapBytes - before.heapBytes) / shelf.keys.length,
    outsideBytes: (after.outsideBytes - before.outsideBytes) / shelf.keys.length,
  };
}
