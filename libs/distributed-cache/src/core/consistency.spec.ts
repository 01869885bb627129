import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import { cacheForTest, untilLocal } from '../../../../test/support/cache-for-test.js';
import { untilInvalidation } from '../../../../test/support/channel-for-test.js';
import { ownRedis, sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions } from '../config/index.js';
import type { CacheEventMap } from '../events/index.js';
import type { ConsistencyChecks } from './consistency.js';
import type { DistributedCache } from './distributed-cache.js';

/** No check by itself, and short waits: the tests call `check`. */
const TIMING = { everyMs: 3_600_000, behindMs: 20, divergedMs: 60 };

function checksOf(cache: DistributedCache): ConsistencyChecks {
  return (cache as unknown as { consistency: ConsistencyChecks }).consistency;
}

/** Makes a process miss messages: `drops` says whether the next one is lost. */
function loseMessages(cache: DistributedCache, drops: () => boolean): void {
  const process = cache as unknown as { onChanged(keys: readonly string[] | undefined, isMessage: boolean): void };
  const onChanged = process.onChanged.bind(process);
  process.onChanged = (keys, isMessage) => {
    if (!drops()) {
      onChanged(keys, isMessage);
    }
  };
}

/** A process that reads, another that writes, and what the first one tells. */
async function twoProcesses(options: DistributedCacheOptions = sharedRedis()) {
  const reader = cacheForTest(options, { consistencyTiming: TIMING });
  const writer = cacheForTest(options, { consistencyTiming: TIMING });
  await Promise.all([reader.connect(), writer.connect()]);
  const told: CacheEventMap['diverged'][] = [];
  reader.events.on('diverged', (event) => void told.push(event));
  const checks = checksOf(reader);
  return { reader, users: reader.getCache('users'), written: writer.getCache('users'), told, checks };
}

describe('a consistency check', () => {
  it('finds the same entry in Redis, whether it was loaded, set or read there', async () => {
    const { users, written, checks } = await twoProcesses();
    await written.set('read', 1, { tags: ['tag'] });
    await users.set('set', 1);
    await users.getOrSet('loaded', async () => 1);
    for (const key of ['read', 'set', 'loaded']) {
      await users.get(key);
      await untilLocal(users, key);
      await checks.check();
    }
    expect(users.getMetrics()).toMatchObject({ consistencyEqual: 3, consistencyBehind: 0, consistencyDiverged: 0 });
  });

  it.each([
    ['a set', (written: Written) => written.set('key', 2)],
    ['a deletion', (written: Written) => written.delete('key')],
    ['an invalidation of its tag', (written: Written) => written.invalidateTags('tag')],
    ['a clear', (written: Written) => written.clear()],
  ])('finds an entry that has missed %s, drops it and reports it', async (_change, change) => {
    const { reader, users, written, told, checks } = await twoProcesses();
    await written.set('key', 1, { tags: ['tag'] });
    await users.get('key');
    await untilLocal(users, 'key');
    loseMessages(reader, () => true);
    await change(written);
    expect(await users.get('key')).toBe(1);
    await checks.check();
    expect(users.getMetrics()).toMatchObject({ consistencyEqual: 0, consistencyDiverged: 1 });
    expect(told).toMatchObject([{ namespace: 'users', key: 'key' }]);
    expect(told[0]?.ageMs).toBeGreaterThan(0);
    expectTypeOf(told).items.toHaveProperty('ageMs').toEqualTypeOf<number>();
  });

  it('waits for a message that is under way: one that is late is behind, none is a divergence', async () => {
    const { reader, users, written, told, checks } = await twoProcesses();
    const late: (() => void)[] = [];
    const process = reader as unknown as { onChanged(keys: readonly string[] | undefined, isMessage: boolean): void };
    const onChanged = process.onChanged.bind(process);
    await written.set('key', 1);
    await users.get('key');
    await untilLocal(users, 'key');
    process.onChanged = (...message) => void late.push(() => onChanged(...message));
    await written.set('key', 2);
    await users.get('key');
    const checking = checks.check();
    await new Promise((resolve) => setTimeout(resolve, 40));
    late.forEach((arrive) => arrive());
    await checking;
    expect(users.getMetrics()).toMatchObject({ consistencyEqual: 0, consistencyBehind: 1, consistencyDiverged: 0 });
    expect(told).toEqual([]);
  });

  it('compares what is hit: not an entry that was only stored, nor one without an envelope', async () => {
    const { users, checks } = await twoProcesses({ ...sharedRedis(), namespaces: { users: { format: 'json' } } });
    await checks.check();
    await users.set('key', { a: 1 });
    await checks.check();
    await users.get('key');
    await checks.check();
    expect(users.getMetrics()).toMatchObject({ consistencyEqual: 0, consistencyDiverged: 0 });
  });

  it('counts for nothing, and is no refusal in health, when the user may not run GETRANGE', async () => {
    const server = await ownRedis();
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-getrange');
    const redis = { host: '127.0.0.1', port: server.port, username: 'app', password: 'secret' };
    const { reader, users, checks } = await twoProcesses({ redis });
    await users.set('key', 1);
    await users.get('key');
    await checks.check();
    await checks.check();
    expect(users.getMetrics()).toMatchObject({ consistencyEqual: 0, consistencyDiverged: 0 });
    expect((await untilInvalidation(reader, 'live')).status).toBe('up');
  });

  it('runs by itself about once in its interval, unless it is switched off', async () => {
    const timing = { ...TIMING, everyMs: 10 };
    const options = sharedRedis();
    const cache = cacheForTest(options, { consistencyTiming: timing, random: Math.random });
    const off = cacheForTest({ ...options, consistencyChecks: false }, { consistencyTiming: timing });
    for (const each of [cache, off]) {
      await each.getCache('users').set('key', 1);
      await untilLocal(each.getCache('users'), 'key');
    }
    const equal = (of: DistributedCache): number => of.getCache('users').getMetrics().consistencyEqual;
    await vi.waitFor(async () => {
      await cache.getCache('users').get('key');
      expect(equal(cache)).toBeGreaterThan(3);
    });
    expect(equal(off)).toBe(0);
  });
});

type Written = ReturnType<DistributedCache['getCache']>;

describe('a build that loses one message in a hundred', () => {
  /** Reads 500 keys, changes each of them elsewhere, and checks 1200 hits. */
  async function run(loses: boolean) {
    const { reader, users, written, told, checks } = await twoProcesses();
    const keys = Array.from({ length: 500 }, (_, index) => `key:${index}`);
    await written.setMany(keys.map((key) => [key, 1] as const));
    await users.getMany(keys);
    let messages = 0;
    loseMessages(reader, () => loses && ++messages % 100 === 0);
    for (const key of keys) {
      await written.set(key, 2);
    }
    await users.getMany(keys);
    const running: Promise<void>[] = [];
    for (let check = 0; check < 1200; check++) {
      await users.get(keys[Math.floor(Math.random() * keys.length)] ?? '');
      running.push(checks.check());
    }
    await Promise.all(running);
    return { told, metrics: users.getMetrics() };
  }

  // Five of 500 entries are outdated: the chance that none of them is among 1200 hits is 0.99 ** 1200, or 6 in a million.
  it('is found', async () => {
    const { told, metrics } = await run(true);
    expect(metrics.consistencyDiverged).toBeGreaterThan(0);
    expect(told.length).toBe(metrics.consistencyDiverged);
  }, 60_000);

  it('is told from a sound one, in which nothing diverges', async () => {
    const { told, metrics } = await run(false);
    expect(metrics).toMatchObject({ consistencyDiverged: 0 });
    expect(metrics.consistencyEqual).toBeGreaterThan(1150);
    expect(told).toEqual([]);
  }, 60_000);
});
