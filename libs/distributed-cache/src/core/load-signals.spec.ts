import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { Gate } from '../../../../test/support/gate.js';
import type { AsyncCache } from './async-cache.js';
import type { LoaderContext } from './entry-options.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function usedBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** The growth of the heap per load, measured after the first third of the loads, in bytes. */
async function bytesPerLoad(loads: number, load: (index: number) => Promise<unknown>): Promise<number> {
  const third = Math.floor(loads / 3);
  let beforeBytes = 0;
  for (let index = 0; index < loads; index++) {
    if (index === third) {
      beforeBytes = usedBytes();
    }
    await load(index);
  }
  return (usedBytes() - beforeBytes) / (loads - third);
}

function users(): AsyncCache {
  return cacheForTest({ redis: false }).getCache('users');
}

describe('the memory of loads', () => {
  it('stays flat over 600,000 loads that read their signal', { timeout: 120_000 }, async () => {
    const cache = users();
    const load = async (context: LoaderContext): Promise<number> => {
      context.skip();
      const looks = [context.signal, context.signal];
      return looks.length;
    };
    expect(await bytesPerLoad(600_000, () => cache.getOrSet('key', load))).toBeLessThan(4);
  });

  it('stays flat over 60,000 batch loads that read their signal', { timeout: 60_000 }, async () => {
    const cache = users();
    const keys = Array.from({ length: 100 }, (_, index) => `key:${index}`);
    const load = async (missing: string[], context: LoaderContext): Promise<string[]> => {
      context.skip();
      return context.signal.aborted ? [] : missing;
    };
    expect(await bytesPerLoad(600, () => cache.getOrSetMany(keys, load))).toBeLessThan(400);
  });

  it.each<[string, (cache: AsyncCache) => Promise<unknown>]>([
    ['that fail', (cache) => cache.getOrSet('key', () => Promise.reject(new Error('no database'))).catch(() => {})],
    [
      'with a hard timeout',
      (cache) =>
        cache.getOrSet('key', async (context) => (context.skip(), context.signal.aborted), { hardTimeout: 60 }),
    ],
    [
      'with a soft timeout',
      (cache) =>
        cache.getOrSet('key', async (context) => (context.skip(), context.signal.aborted), { softTimeout: 60 }),
    ],
  ])('stays flat over 60,000 loads %s', { timeout: 60_000 }, async (_what, load) => {
    const cache = users();
    expect(await bytesPerLoad(60_000, () => load(cache))).toBeLessThan(16);
  });
});

describe('the signal of a load', () => {
  it('is the same object at each access', async () => {
    const cache = users();
    expect(await cache.getOrSet('key', (context) => context.signal === context.signal)).toBe(true);
    expect(
      await cache.getOrSetMany(['a', 'b'], (missing, context) => missing.map(() => context.signal === context.signal)),
    ).toEqual([true, true]);
  });

  it.each<[string, (cache: AsyncCache, started: Gate, ended: Gate) => Promise<unknown>]>([
    [
      'a load',
      (cache, started, ended) =>
        cache.getOrSet('key', async ({ signal }) => {
          started.open();
          signal.addEventListener('abort', ended.open);
          await ended.opened;
          return signal.aborted;
        }),
    ],
    [
      'a batch',
      (cache, started, ended) =>
        cache.getOrSetMany(['a', 'b'], async (missing, { signal }) => {
          started.open();
          signal.addEventListener('abort', ended.open);
          await ended.opened;
          return missing;
        }),
    ],
  ])('is aborted for %s when the cache closes', async (_what, load) => {
    const all = cacheForTest({ redis: false });
    const [started, ended] = [new Gate(), new Gate()];
    const loading = load(all.getCache('users'), started, ended);
    await started.opened;
    await all.close();
    await ended.opened;
    expect(await loading).toEqual(expect.anything());
  });

  it.each<[string, (cache: AsyncCache, load: (context: LoaderContext) => Promise<never>) => Promise<unknown>]>([
    ['a load', (cache, load) => cache.getOrSet('key', load, { hardTimeout: '20ms' })],
    [
      'a batch',
      (cache, load) => cache.getOrSetMany(['a', 'b'], (_missing, context) => load(context), { hardTimeout: '20ms' }),
    ],
  ])('is aborted for %s at the hard timeout, with its reason', async (_what, load) => {
    const aborted = new Promise<unknown>((resolve) => {
      void load(
        users(),
        ({ signal }) =>
          new Promise<never>((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              resolve(signal.reason);
              reject(new Error('aborted'));
            });
          }),
      ).catch(() => {});
    });
    expect(await aborted).toMatchObject({ name: 'LoaderTimeoutError' });
  });

  it('is aborted from the start for a load that begins after the cache has closed', async () => {
    const all = cacheForTest({ redis: false });
    const cache = all.getCache('users');
    await all.close();
    expect(await cache.getOrSet('key', ({ signal }) => signal.aborted)).toBe(true);
  });
});
