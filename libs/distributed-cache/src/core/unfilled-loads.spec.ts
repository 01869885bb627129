import { describe, expect, it, vi } from 'vitest';
import { cachesForTest } from '../../../../test/support/cache-for-test.js';
import { Gate } from '../../../../test/support/gate.js';
import { redisForTest, sharedRedis } from '../../../../test/support/redis-for-test.js';
import { keyLayout } from '../keys/index.js';
import type { AsyncCache } from './async-cache.js';
import type { EntryOptions, LoaderContext } from './entry-options.js';

const PROCESSES = 10;

function waits(cache: AsyncCache): number {
  return cache.getMetrics().waits;
}

interface Outcome {
  readonly options?: EntryOptions;
  readonly end: (context: LoaderContext, name: string) => unknown;
}

const never = {
  '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message: 'no user' }] }) },
} as const;

const OUTCOMES: Record<string, Outcome> = {
  'a loader that throws': {
    end: (_context, name) => {
      throw new Error(name);
    },
  },
  'a value that cacheIf refuses': { options: { cacheIf: () => false }, end: (_context, name) => name },
  'a loader that skips': {
    end: (context, name) => {
      context.skip();
      return name;
    },
  },
  'a value that can not be cached': { end: (_context, name) => ({ name: () => name }) },
  'a value that the schema refuses': { options: { schema: never, validate: 'both' }, end: (_context, name) => name },
};

describe('a load that stores nothing', () => {
  it.each(Object.entries(OUTCOMES))(
    'after %s lets the waiting processes load at once, each for its own callers',
    async (_what, how) => {
      const caches = await cachesForTest(PROCESSES, sharedRedis());
      const [first, ...others] = caches as [AsyncCache, ...AsyncCache[]];
      const [started, firstGate, othersGate] = [new Gate(), new Gate(), new Gate()];
      let running = 0;
      const call = (cache: AsyncCache, name: string, gate: Gate): Promise<unknown> =>
        cache
          .getOrSet(
            'key',
            async (context) => {
              started.open();
              running++;
              await gate.opened;
              return how.end(context, name);
            },
            how.options,
          )
          .then(
            (value) => (typeof value === 'string' ? value : (value as { name: () => string }).name()),
            (error: Error) => error.message,
          );
      const firstCall = call(first, 'first', firstGate);
      await started.opened;
      const calls = others.map((cache, index) => call(cache, `process ${index}`, othersGate));
      await vi.waitFor(() => expect(others.map(waits)).toEqual(others.map(() => 1)));
      expect(running).toBe(1);
      firstGate.open();
      expect(await firstCall).toBe('first');
      // All of them run at the same time before any of them has ended.
      await vi.waitFor(() => expect(running).toBe(PROCESSES), { timeout: 10_000 });
      othersGate.open();
      expect(await Promise.all(calls)).toEqual(others.map((_cache, index) => `process ${index}`));
    },
  );

  it('lets the next process load for all others, which wait for it', async () => {
    const [podA, podB, podC] = (await cachesForTest(3, sharedRedis())) as [AsyncCache, AsyncCache, AsyncCache];
    await expect(podA.getOrSet('key', () => Promise.reject(new Error('no database')))).rejects.toThrow('no database');
    const [started, gate] = [new Gate(), new Gate()];
    const loading = podB.getOrSet('key', async () => {
      started.open();
      await gate.opened;
      return 'from B';
    });
    await started.opened;
    const load = vi.fn(async () => 'from C');
    const waiting = podC.getOrSet('key', load);
    await vi.waitFor(() => expect(waits(podC)).toBe(1));
    gate.open();
    expect(await Promise.all([loading, waiting])).toEqual(['from B', 'from B']);
    expect(load).not.toHaveBeenCalled();
  });

  it('runs one load at a time per process for callers that keep calling', async () => {
    const caches = await cachesForTest(3, sharedRedis());
    const most = caches.map(() => 0);
    const ended: unknown[] = [];
    const ask = async (cache: AsyncCache, index: number): Promise<void> => {
      let running = 0;
      const load = async (): Promise<never> => {
        running++;
        most[index] = Math.max(most[index] ?? 0, running);
        await new Promise((resolve) => setTimeout(resolve, 20));
        running--;
        ended.push(cache);
        throw new Error('no database');
      };
      while (ended.length < 30) {
        await Promise.allSettled(Array.from({ length: 5 }, () => cache.getOrSet('key', load)));
      }
    };
    await Promise.all(caches.map(ask));
    expect(most.every((count) => count <= 1)).toBe(true);
  });
});

describe('a load whose process has died', () => {
  it('is waited for once by the processes that do not take over, and the key is loaded once', async () => {
    const redis = redisForTest();
    const caches = await cachesForTest(4, { redis: { url: redis.url }, keyPrefix: redis.keyPrefix });
    const [first, ...others] = caches as [AsyncCache, ...AsyncCache[]];
    const [started, gate] = [new Gate(), new Gate()];
    const lost = first.getOrSet('key', async () => {
      started.open();
      await gate.opened;
      return 'lost';
    });
    await started.opened;
    const load = vi.fn(async () => {
      await vi.waitFor(() => expect(others.map(waits).reduce((sum, each) => sum + each)).toBe(others.length));
      return 'taken over';
    });
    const calls = others.map((cache) => cache.getOrSet('key', load));
    await vi.waitFor(() => expect(others.map(waits)).toEqual(others.map(() => 1)));
    const { leaseKey } = keyLayout(redis.keyPrefix, 'users').entryKeys('key');
    expect(await redis.admin.del(leaseKey)).toBe(1); // as when the lease has expired
    expect(await Promise.all(calls)).toEqual(others.map(() => 'taken over'));
    expect(load).toHaveBeenCalledTimes(1);
    gate.open();
    expect(await lost).toBe('lost');
  });
});
