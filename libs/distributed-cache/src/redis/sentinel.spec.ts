import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { failoverLoad } from '../../../../test/support/failover-load.js';
import { RedisSentinel } from '../../../../test/support/redis-sentinel.js';
import type { DistributedCacheOptions } from '../config/index.js';

const SOON = { timeout: 10_000, interval: 50 };
const KEYS = Array.from({ length: 20 }, (_, index) => `key:${index}`);

describe('a cache over Sentinels', () => {
  let group: RedisSentinel;
  beforeAll(async () => void (group = await RedisSentinel.start()));
  afterAll(() => group?.stop());

  const options = (keyPrefix: string): DistributedCacheOptions => ({
    redis: { sentinels: group.addresses, name: group.name },
    keyPrefix,
  });

  it('gets, sets, loads, deletes and clears one key or many, for every process', async () => {
    const [all, another] = [cacheForTest(options('basic')), cacheForTest(options('basic'))];
    await Promise.all([all.connect(), another.connect()]);
    const [cache, other] = [all.getCache<string>('users'), another.getCache<string>('users')];
    expect(await cache.set('key', 'value')).toBe(true);
    expect(await other.get('key')).toBe('value');
    expect(await cache.getOrSet('loaded', async () => 'once')).toBe('once');
    expect(await other.getOrSet('loaded', async () => 'twice')).toBe('once');
    expect(await cache.setMany(KEYS.map((key) => [key, key] as const))).toBe(true);
    expect(await other.getMany([...KEYS, 'none'])).toEqual([...KEYS, undefined]);
    expect(await cache.delete('key')).toBe(true);
    expect(await cache.deleteMany([...KEYS.slice(0, 5), 'none'])).toBe(5);
    await vi.waitFor(async () =>
      expect(await other.getMany(['key', ...KEYS.slice(0, 5)])).toEqual(Array(6).fill(undefined)),
    );
    await cache.clear();
    await vi.waitFor(async () => expect(await other.getMany(KEYS)).toEqual(KEYS.map(() => undefined)));
    expect(await all.healthCheck()).toMatchObject({ status: 'up', redisConnected: true });
  });
});

const FAULTS: readonly (readonly [name: string, happen: (group: RedisSentinel) => Promise<void> | void])[] = [
  ['is killed', (group) => group.killMaster()],
  ['hangs', (group) => group.master.freeze()],
];

describe('Sentinels with a new master', () => {
  it.each(FAULTS)('cause no error when the old one %s, and the cache uses the new one', async (_name, happen) => {
    const group = await RedisSentinel.start();
    onTestFinished(() => group.stop());
    const options = { redis: { sentinels: group.addresses, name: group.name } };
    const pods = [cacheForTest(options), cacheForTest(options)] as const;
    await Promise.all(pods.map((pod) => pod.connect()));
    const [cache, other] = [pods[0].getCache<string>('users'), pods[1].getCache<string>('users')];
    expect(await cache.setMany(KEYS.map((key) => [key, key] as const))).toBe(true);
    expect(await other.getMany(KEYS)).toEqual(KEYS);
    const load = failoverLoad(cache, KEYS);
    await load.untilCalls(200);
    await happen(group);
    await vi.waitFor(async () => expect(await group.masterPort()).toBe(group.replica.port), SOON);
    await vi.waitFor(async () => expect(await cache.set('after', 'failover')).toBe(true), SOON);
    expect(await load.stop()).toEqual({ errors: [], wrong: [] });
    expect(Number(await group.replica.command('EXISTS', 'cache:users:after'))).toBe(1);
    await vi.waitFor(async () => expect(await other.get('after')).toBe('failover'), SOON);
    // Both processes track the changes of each other again.
    await vi.waitFor(async () => expect(await cache.set('after', 'changed')).toBe(true), SOON);
    await vi.waitFor(async () => expect(await other.get('after')).toBe('changed'), SOON);
    await vi.waitFor(async () => expect(await other.set('after', 'again')).toBe(true), SOON);
    await vi.waitFor(async () => expect(await cache.get('after')).toBe('again'), SOON);
  });
});
