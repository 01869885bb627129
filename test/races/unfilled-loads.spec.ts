import { expect, it, vi } from 'vitest';
import { Gate } from '../support/gate.js';
import { heldLoad, podWith, sharedRedis, waitsFor, type Pod } from './pods.js';

it('race 20: the result of a load without the lease is kept in no tier after another load stored nothing', async () => {
  const redis = sharedRedis();
  const [podA, podB, podC] = (await Promise.all([1, 2, 3].map(() => podWith(redis)))) as [Pod, Pod, Pod];
  const { answer, release } = await heldLoad(podA, () => 'a function, which is not stored');
  const gate = new Gate();
  let running = 0;
  const loads = [podB, podC].map(({ cache }, index) =>
    cache.getOrSet('key', async () => {
      running++;
      await gate.opened;
      return index;
    }),
  );
  await vi.waitFor(() => expect([waitsFor(podB, 'key'), waitsFor(podC, 'key')]).toEqual([true, true]));
  release();
  expect(await answer).toBeTypeOf('function');
  await vi.waitFor(() => expect(running).toBe(2), { timeout: 10_000 });
  await podA.cache.delete('key'); // there is no value, so no process gets a message; it ends the load under the lease
  gate.open();
  expect(await Promise.all(loads)).toEqual([0, 1]);
  for (const { cache } of [podA, podB, podC]) {
    expect(await cache.get('key')).toBeUndefined();
  }
});
