import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { watchListeners, watchTimers } from '../../../../test/support/watch-leaks.js';
import { ownRedis } from '../../../../test/support/redis-for-test.js';

const CYCLES = 100;

describe('a Redis that is killed and restarted a hundred times', () => {
  it(
    'is used again each time, and leaves no listener, timer or pending call behind',
    { timeout: 400_000 },
    async () => {
      const server = await ownRedis();
      const timersLeft = watchTimers();
      const mostListeners = watchListeners();
      const all = cacheForTest({ redis: { url: server.url }, deadlineMs: 300 });
      const cache = all.getCache<number>('numbers');
      const reconnected = vi.fn();
      all.events.on('fallbackOff', reconnected);
      expect(await cache.set('key', 0)).toBe(true);
      let [asked, answered] = [0, 0];
      const ask = (): void => {
        asked++;
        void cache.getOrSet(`key:${asked}`, () => asked).then(() => answered++);
      };
      const listeners: number[] = [];
      for (let cycle = 1; cycle <= CYCLES; cycle++) {
        ask();
        const restarted = server.restart();
        ask();
        await restarted;
        ask();
        await vi.waitFor(async () => expect(await cache.set('key', cycle)).toBe(true), {
          timeout: 20_000,
          interval: 5,
        });
        listeners.push(mostListeners());
      }
      expect(reconnected).toHaveBeenCalledTimes(CYCLES);
      expect(await cache.get('key')).toBe(CYCLES);
      // A leak of one per cycle would add a hundred.
      expect(Math.max(...listeners) - listeners[0]!).toBeLessThan(10);
      await vi.waitFor(() => expect(answered).toBe(asked));
      await all.close();
      // The clients of the test itself wait two seconds for their sockets.
      await vi.waitFor(() => expect(timersLeft()).toEqual([]), { timeout: 20_000, interval: 50 });
    },
  );
});
