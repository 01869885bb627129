import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { Gate } from '../../../../test/support/gate.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import type { AsyncCache } from './async-cache.js';
import type { EntryOptions } from './entry-options.js';
import type { CacheEventMap } from '../events/index.js';
import { CacheContext } from './vary-by.js';

const TIERS = [
  ['L1 alone', () => ({ redis: false as const })],
  ['Redis', () => ({ redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix })],
] as const;

const REFRESH: EntryOptions = { refreshAhead: 1e-9 };

describe.each(TIERS)('a refresh in the background (%s)', (_tiers, options) => {
  /** A cache with a fresh entry, and what its refreshes report. */
  async function withEntry(): Promise<{ cache: AsyncCache; failures: CacheEventMap['refreshFailed'][] }> {
    const all = cacheForTest({ ...options(), namespaces: { users: { grace: '1h' } } });
    const failures: CacheEventMap['refreshFailed'][] = [];
    all.events.on('refreshFailed', (failure) => void failures.push(failure));
    const cache = all.getCache('users');
    await cache.set('key', 'fresh');
    return { cache, failures };
  }

  it('does not see the AsyncLocalStorage of the request that caused it, unless the call says so', async () => {
    const transaction = new AsyncLocalStorage<string>();
    const { cache } = await withEntry();
    const seen: (string | undefined)[] = [];
    const load = async (): Promise<string> => {
      await Promise.resolve();
      seen.push(transaction.getStore());
      return 'fresh';
    };
    await transaction.run('of a request', () => cache.getOrSet('key', load, REFRESH));
    await vi.waitFor(() => expect(seen).toEqual([undefined]));
    await vi.waitFor(async () => expect((await cache.inspect('key')).isLoading).toBe(false));
    await transaction.run('of a request', () => cache.getOrSet('key', load, { ...REFRESH, refreshContext: 'caller' }));
    await vi.waitFor(() => expect(seen).toEqual([undefined, 'of a request']));
    await transaction.run('of a request', () => cache.getOrSet('missing', load, REFRESH));
    expect(seen).toEqual([undefined, 'of a request', 'of a request']);
    expectTypeOf<EntryOptions['refreshContext']>().toEqualTypeOf<'own' | 'caller' | undefined>();
  });

  it('keeps the dimensions of varyBy, which its key depends on', async () => {
    const { cache } = await withEntry();
    const load = vi.fn(async () => CacheContext.current?.['tenant']);
    const vary: EntryOptions = { ...REFRESH, varyBy: ['tenant'] };
    const call = (): Promise<unknown> => CacheContext.run({ tenant: 'acme' }, () => cache.getOrSet('key', load, vary));
    expect(await call()).toBe('acme');
    expect(await call()).toBe('acme');
    await vi.waitFor(() => expect(load).toHaveBeenCalledTimes(2));
    expect(await load.mock.results[1]?.value).toBe('acme');
  });

  it('tells its failure with the error; the callers keep the present value', async () => {
    const { cache, failures } = await withEntry();
    const error = new Error('no database');
    expect(await cache.getOrSet('key', () => Promise.reject(error), REFRESH)).toBe('fresh');
    await vi.waitFor(() => expect(failures).toEqual([{ namespace: 'users', key: 'key', state: 'fresh', error }]));
    const forbidden = { ...REFRESH, staleIf: () => false };
    await vi.waitFor(async () => expect((await cache.inspect('key')).isLoading).toBe(false));
    expect(await cache.getOrSet('key', () => Promise.reject(error), forbidden)).toBe('fresh');
    await vi.waitFor(() => expect(failures).toHaveLength(2));
    expect(failures[1]?.error).toBe(error);
  });

  it('tells also the error of a loader in whose place callers get a stale value', async () => {
    const { cache, failures } = await withEntry();
    await cache.expire('key');
    await vi.waitFor(async () => expect(await cache.get('key')).toBeUndefined()); // the clock of hits lags by up to 1 ms
    const error = new Error('no database');
    expect(await cache.getOrSet('key', () => Promise.reject(error))).toBe('fresh');
    expect(failures).toEqual([{ namespace: 'users', key: 'key', state: 'stale', error }]);
    const gate = new Gate();
    const slow = (): Promise<never> => gate.opened.then(() => Promise.reject(error));
    await vi.waitFor(async () => expect((await cache.inspect('key')).isLoading).toBe(false));
    expect(await cache.getOrSet('key', slow, { softTimeout: '10ms' })).toBe('fresh');
    gate.open();
    await vi.waitFor(() => expect(failures).toHaveLength(2));
  });
});

it('a cache without a refresh adds nothing to the promises of the process', async () => {
  const carried = (): number => Object.getOwnPropertySymbols(Promise.resolve()).length;
  const before = carried();
  const cache = cacheForTest({ redis: false }).getCache('users');
  await cache.set('key', 1);
  expect(await cache.getOrSet('key', () => 2)).toBe(1);
  expect(carried()).toBe(before);
});
