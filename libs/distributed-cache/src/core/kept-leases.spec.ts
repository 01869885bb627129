import { expect, it, vi } from 'vitest';
import { KeptLeases } from './kept-leases.js';

it('gives each lease back once, and again what could not be given back', async () => {
  const kept = new KeptLeases();
  const given = { release: vi.fn(async () => {}) };
  const refused = { release: vi.fn(async () => kept.add(refused)) };
  kept.add(given);
  kept.add(refused);
  kept.release();
  kept.release();
  expect([given.release, refused.release].map(({ mock }) => mock.calls.length)).toEqual([1, 2]);
});

it('remembers a thousand at most: the others end by themselves', () => {
  const kept = new KeptLeases();
  const release = vi.fn(async () => {});
  for (let count = 0; count < 1001; count++) {
    kept.add({ release });
  }
  kept.release();
  expect(release).toHaveBeenCalledTimes(1000);
});
