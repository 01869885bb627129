import { localMemories } from '../contestants/local-memory.js';
import { settledHeapBytes } from '../measure/heap.js';
import { figureOf, type Figure } from '../measure/rounds.js';
import { Shelf } from '../support/shelf.js';
import type { Scenario } from './scenario.js';

export const heap: Scenario = {
  id: 'heap',
  title: 'Heap per entry',
  run: async ({ quick }) => {
    const shelf = new Shelf(quick ? 1000 : 100_000, 64);
    const figures: Figure[] = [];
    for (const { name, role, open } of localMemories(shelf.keys.length)) {
      const bytes: number[] = [];
      for (let sample = 0; sample < (quick ? 1 : 3); sample++) {
        bytes.push(await bytesPerEntry(open, shelf));
      }
      figures.push(figureOf({ name, role }, bytes));
    }
    return [
      {
        id: 'heap',
        title: 'Heap per L1 entry beyond key and value',
        unit: 'B',
        note: `${shelf.keys.length} entries; keys and values were there before, so what grows is bookkeeping`,
        figures,
        goal: { most: 60 },
      },
    ];
  },
};

async function bytesPerEntry(
  open: () => Promise<{ put: (key: string, value: object) => unknown; close?: () => Promise<unknown> }>,
  shelf: Shelf,
): Promise<number> {
  const memory = await open();
  const before = settledHeapBytes();
  for (const key of shelf.keys) {
    await memory.put(key, shelf.valueOf(key));
  }
  const bytes = (settledHeapBytes() - before) / shelf.keys.length;
  await memory.close?.();
  return bytes;
}
