import { expect, it, vi } from 'vitest';
import { Binding } from './binding.js';
import { createDistributedCache } from './create-distributed-cache.js';
import type { DistributedCache } from './distributed-cache.js';

it('makes what is bound to a cache once for each cache, and keeps bindings apart', async () => {
  const caches = await Promise.all([
    createDistributedCache({ redis: false }),
    createDistributedCache({ redis: false }),
  ]);
  const make = vi.fn((cache: DistributedCache) => ({ cache }));
  const bindings = [new Binding(make), new Binding(make)];
  const bound = caches.map((cache) => bindings.map((binding) => cache.bound(binding)));
  expect(bound.map((ofCache) => ofCache.map(({ cache }) => caches.indexOf(cache)))).toEqual([
    [0, 0],
    [1, 1],
  ]);
  expect(new Set(bound.flat()).size).toBe(4);
  expect(caches.map((cache) => bindings.map((binding) => cache.bound(binding)))).toEqual(bound);
  expect(make).toHaveBeenCalledTimes(4);
  await Promise.all(caches.map((cache) => cache.close()));
});
