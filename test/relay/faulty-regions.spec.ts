import { expect, it } from 'vitest';
import { faultyRegions } from './faulty-regions.js';

it('no entry of two regions differs three seconds after links were cut, and relays and servers killed', async () => {
  const { lines, complaints } = await faultyRegions({ keys: 100, deletions: 600, purges: 20, seed: 11 });
  expect(complaints).toEqual([]);
  expect(lines).toHaveLength(4);
});
