import { randomBytes } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../support/cache-for-test.js';
import { ownRedis } from '../support/redis-for-test.js';
import { runBursts } from './own-load.js';

describe('a process under its own load', () => {
  it('carries out thousands of operations that start at once, and leaves other entries unchanged', async () => {
    const server = await ownRedis();
    const size = { single: 5000, batch: 5000, tagged: 2000, batchLoad: 2000, large: 20 };
    const reports = await runBursts(server.url, 'burst', size);
    expect(reports.map(({ name, problems }) => ({ name, problems }))).toEqual(
      reports.map(({ name }) => ({ name, problems: [] })),
    );
    expect(reports).toHaveLength(7);
  }, 120_000);

  it('carries out hundreds of operations that start before the connection is open', async () => {
    const { url } = await ownRedis();
    const [all, others] = [cacheForTest({ redis: { url } }), cacheForTest({ redis: { url } })];
    const overloads = vi.fn();
    all.events.on('overload', overloads);
    const keys = Array.from({ length: 500 }, (_, index) => `key${index}`);
    const stored = await Promise.all(keys.map((key) => all.getCache('words').set(key, key, { tags: ['tag'] })));
    expect(stored.filter((isStored) => !isStored)).toEqual([]);
    expect(overloads).not.toHaveBeenCalled();
    expect(await others.getCache('words').getMany(keys)).toEqual(keys);
  });

  it('emits `overload` for operations that the queue refuses, and replays their invalidation', async () => {
    const server = await ownRedis();
    const all = cacheForTest({ redis: { url: server.url }, compression: false });
    const others = cacheForTest({ redis: { url: server.url } });
    await Promise.all([all.connect(), others.connect()]);
    const [cache, elsewhere] = [all.getCache<string>('large'), others.getCache<string>('large')];
    await cache.set('first', 'stamps are read');
    await elsewhere.set('other', 'stays');
    const [overloads, outages, faults] = [vi.fn(), vi.fn(), vi.fn()];
    all.events.on('overload', overloads);
    all.events.on('redisConnectionFailed', outages);
    all.events.on('tierError', faults);
    const keys = Array.from({ length: 120 }, (_, index) => `key${index}`);
    await elsewhere.setMany(keys.map((key) => [key, 'old'] as const));
    const text = randomBytes(500_000).toString('hex');
    const stored = await Promise.all(keys.map((key) => cache.set(key, `${key} ${text}`)));
    const refused = keys.filter((_key, index) => !stored[index]);
    // 4 MiB are sent and 64 MiB wait: of 120 MB the rest is refused.
    expect(refused.length).toBeGreaterThan(40);
    expect(refused.length).toBeLessThan(60);
    expect(overloads).toHaveBeenCalledTimes(refused.length);
    expect(cache.getMetrics()).toMatchObject({ overloads: refused.length, errors: 0 });
    expect(outages).not.toHaveBeenCalled();
    expect(faults).not.toHaveBeenCalled();
    for (const key of keys.filter((each) => !refused.includes(each))) {
      expect((await elsewhere.get(key))?.startsWith(key)).toBe(true);
    }
    // The refused process has the new value; the others lose the old one when the journal is replayed.
    await vi.waitFor(async () => expect(await elsewhere.getMany(refused)).toEqual(refused.map(() => undefined)), {
      timeout: 10_000,
    });
    expect(await elsewhere.get('other')).toBe('stays');
    expect(await all.healthCheck()).toMatchObject({ status: 'up' });
  }, 60_000);

  it.each(['setMany', 'deleteMany'] as const)(
    'clears nothing when Redis stands still for a second while %s changes 30,000 keys',
    async (method) => {
      const server = await ownRedis();
      const options = { redis: { url: server.url }, deadlineMs: 300 };
      const [all, others] = [cacheForTest(options), cacheForTest(options)];
      await Promise.all([all.connect(), others.connect()]);
      const [cache, elsewhere] = [all.getCache<string>('words'), others.getCache<string>('words')];
      const keys = Array.from({ length: 30_000 }, (_, index) => `key${index}`);
      await elsewhere.setMany(keys.map((key) => [key, 'old'] as const));
      await elsewhere.set('other', 'stays');
      const outage = vi.fn();
      all.events.on('fallbackOn', outage);
      const change = (some: readonly string[]): Promise<unknown> =>
        method === 'setMany' ? cache.setMany(some.map((key) => [key, 'new'])) : cache.deleteMany(some);
      const running = change(keys.slice(0, 15_000));
      await vi.waitFor(async () => expect(await elsewhere.get('key1000')).not.toBe('old'), { timeout: 10_000 });
      server.freeze();
      await running;
      await vi.waitFor(() => expect(outage).toHaveBeenCalled(), { timeout: 10_000 });
      await change(keys.slice(15_000));
      expect(all.getProcessMetrics().toJSON()).toMatchObject({ journal_overflows: 0 });
      server.thaw();
      await vi.waitFor(() => expect(all.getProcessMetrics().toJSON().journal_entries).toBe(0), { timeout: 10_000 });
      await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'up' }), {
        timeout: 10_000,
      });
      await vi.waitFor(async () => expect(await elsewhere.getMany(keys)).not.toContain('old'), { timeout: 10_000 });
      expect(await cache.getMany(keys)).not.toContain('old');
      expect(await elsewhere.get('other')).toBe('stays');
    },
    60_000,
  );
});
