import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cacheForTest, untilLocal } from '../../../../test/support/cache-for-test.js';
import { ownRedis, redisForTest } from '../../../../test/support/redis-for-test.js';
import type { AsyncCache, DistributedCache } from '../core/index.js';

/** What jest fakes by default, and vitest on request. */
const ALL = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'Date',
  'performance',
] as const;

const DEFAULTS = [
  ['the defaults of vitest', () => void vi.useFakeTimers()],
  ['everything that jest fakes but nextTick', () => void vi.useFakeTimers({ toFake: [...ALL] })],
] as const;

afterEach(() => void vi.useRealTimers());

describe.each(DEFAULTS)('a cache with Redis while timers are fake (%s)', (_what, fake) => {
  let all: DistributedCache;
  let cache: AsyncCache;
  beforeEach(async () => {
    const { url, keyPrefix } = redisForTest();
    all = cacheForTest({ redis: { url }, keyPrefix });
    await all.connect();
    cache = all.getCache('users');
  });

  it('answers every call, without moving the timers', async () => {
    fake();
    expect(await cache.set('key', 'value')).toBe(true);
    expect(await cache.get('key')).toBe('value');
    expect(await cache.getOrSet('loaded', async () => 'loaded', { tags: ['tag'] })).toBe('loaded');
    expect(await cache.getOrSetMany(['a', 'b'], async (missing) => missing)).toEqual(['a', 'b']);
    await cache.invalidateTags('tag');
    expect(await cache.delete('key')).toBe(true);
    expect(await cache.getMany(['key', 'a'])).toEqual([undefined, 'a']);
    await cache.clear();
    expect((await all.healthCheck()).status).toBe('up');
  });

  it('answers from L1 after the faked time has passed', async () => {
    await cache.set('key', 'value');
    await untilLocal(cache, 'key');
    fake();
    await vi.advanceTimersByTimeAsync(100);
    vi.setSystemTime(Date.now() + 600_000);
    expect(await cache.lookup('key')).toMatchObject({ tier: 'local', state: 'fresh' });
  });

  it('keeps its TTLs afterwards, when timers are real again', async () => {
    fake();
    await cache.getOrSet('during', async () => 'value');
    vi.useRealTimers();
    for (const key of ['one', 'two']) {
      await cache.set(key, 'value', '300ms');
      const startedAtMs = performance.now();
      await vi.waitFor(async () => expect(await cache.get(key)).toBeUndefined(), { timeout: 5000, interval: 10 });
      expect(performance.now() - startedAtMs).toBeLessThan(700);
    }
  });
});

it.each(DEFAULTS)('a cache that is made while timers are fake (%s) connects and answers', async (_what, fake) => {
  fake();
  const { url, keyPrefix } = redisForTest();
  const all = cacheForTest({ redis: { url }, keyPrefix });
  await all.connect();
  expect(await all.getCache('users').set('key', 'value')).toBe(true);
  expect(await all.getCache('users').get('key')).toBe('value');
});

it.each(DEFAULTS)(
  'a cache keeps its entries while the faked time passes (%s): its times are real',
  async (_what, fake) => {
    const users = cacheForTest({ redis: false }).getCache('users');
    await users.set('before', 'value');
    fake();
    await users.set('during', 'value', '5m');
    await vi.advanceTimersByTimeAsync(600_000);
    expect(await users.getMany(['before', 'during'])).toEqual(['value', 'value']);
  },
);

it('a cache whose timers were fake for a while still ends its waits for a Redis that hangs', async () => {
  const server = await ownRedis();
  const all = cacheForTest({ redis: { url: server.url }, deadlineMs: 300 });
  await all.connect();
  const cache = all.getCache('users');
  vi.useFakeTimers();
  await cache.set('key', 'value');
  await cache.getOrSet('during', async () => 'value');
  vi.useRealTimers();
  server.freeze();
  const startedAtMs = performance.now();
  expect(await cache.getOrSet('absent', async () => 'loaded')).toBe('loaded');
  expect(performance.now() - startedAtMs).toBeLessThan(3000);
  server.thaw();
});
