import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { Gate } from '../../../../test/support/gate.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import type { AsyncCache } from './async-cache.js';
import type { EntryOptions, Loader } from './entry-options.js';
import { LoaderTimeoutError } from '../errors/index.js';

const TIERS = [
  ['L1 alone', () => ({ redis: false as const })],
  ['Redis', () => ({ redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix })],
] as const;

/** Three concurrent calls of one key: the first begins the load, and the others join it. */
function threeCalls<T>(cache: AsyncCache<T>, loader: Loader<T>, options?: EntryOptions<T>): Promise<T[]> {
  return Promise.all([1, 2, 3].map(() => cache.getOrSet('key', loader, options)));
}

describe.each(TIERS)('the result of a load that can not be cached (%s)', (_tiers, options) => {
  const cacheOf = <T>(): AsyncCache<T> => cacheForTest(options()).getCache<T>('files');

  it.each<[string, EntryOptions<Readable>]>([
    ['', {}],
    [', also when cacheIf refuses it', { cacheIf: () => false }],
  ])('is given to one call: the calls that have joined run their own loaders, at once%s', async (_also, entry) => {
    const cache = cacheOf<Readable>();
    const gate = new Gate();
    let running = 0;
    const load = vi.fn(async () => {
      const isFirst = ++running === 1;
      await (isFirst ? Promise.resolve() : gate.opened); // none of the others waits for another one
      return Readable.from(['content']);
    });
    const calls = threeCalls(cache, load, entry);
    await vi.waitFor(() => expect(load).toHaveBeenCalledTimes(3));
    gate.open();
    const streams = await calls;
    expect(await Promise.all(streams.map(text))).toEqual(['content', 'content', 'content']);
    expect(cache.getMetrics()).toMatchObject({ misses: 3, loads: 3, hits: 0, sets: 0 });
  });

  it('is shared while it is data: one load for all calls', async () => {
    const cache = cacheOf<{ name: string }>();
    const load = vi.fn(async () => ({ name: 'Ada' }));
    await threeCalls(cache, load, { cacheIf: () => false });
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('lets a call that has joined wait for both loads together no longer than its hardTimeout', async () => {
    const cache = cacheOf<() => string>();
    const gate = new Gate();
    const first = cache.getOrSet('key', async () => {
      await gate.opened;
      return () => 'a function';
    });
    const joined = cache.getOrSet('key', () => new Promise(() => {}), { hardTimeout: '200ms' });
    gate.open();
    expect((await first)()).toBe('a function');
    await expect(joined).rejects.toBeInstanceOf(LoaderTimeoutError);
  });

  it('is loaded by a further call of the batch loader, for a batch that has joined', async () => {
    const cache = cacheOf<unknown>();
    const gate = new Gate();
    const first = cache.getOrSet('a', async () => {
      await gate.opened;
      return () => 'a function';
    });
    const loadMissing = vi.fn(async (missing: string[]) => missing);
    const batch = cache.getOrSetMany(['a', 'b'], loadMissing);
    await vi.waitFor(() => expect(loadMissing).toHaveBeenCalledTimes(1));
    gate.open();
    await first;
    expect(await batch).toEqual(['a', 'b']);
  });
});
