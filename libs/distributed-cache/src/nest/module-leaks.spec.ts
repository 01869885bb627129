import { expect, it, vi } from 'vitest';
import { nestForTest } from '../../../../test/support/nest-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import { watchListeners, watchTimers } from '../../../../test/support/watch-leaks.js';
import { DistributedCache } from '../core/index.js';

const TIMES = 100;

it('a module that is made and closed a hundred times leaves no connection, listener or timer behind', async () => {
  const { url, keyPrefix, admin } = redisForTest();
  const connections = async (): Promise<number> =>
    String(await admin.client('LIST'))
      .split('\n')
      .filter((line) => line.includes(` name=${keyPrefix} `)).length;
  const timersLeft = watchTimers();
  const mostListeners = watchListeners();
  const listeners: number[] = [];
  for (let time = 0; time < TIMES; time++) {
    const module = await nestForTest({ cache: { redis: { url, connectionName: keyPrefix }, keyPrefix } });
    const cache = module.get(DistributedCache).getCache<number>('numbers');
    expect(await cache.set('key', time)).toBe(true);
    expect(await cache.getOrSet(`key:${time}`, async () => time)).toBe(time);
    await module.close();
    listeners.push(mostListeners());
  }
  expect(Math.max(...listeners) - listeners[0]!).toBeLessThan(10);
  await vi.waitFor(async () => expect(await connections()).toBe(0));
  await vi.waitFor(() => expect(timersLeft()).toEqual([]), { timeout: 5000, interval: 50 });
});
