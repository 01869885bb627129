import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { failoverLoad } from '../../../../test/support/failover-load.js';
import { RedisSentinel } from '../../../../test/support/redis-sentinel.js';

const SOON = { timeout: 10_000, interval: 50 };
const KEYS = Array.from({ length: 20 }, (_, index) => `key:${index}`);

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
    // The former master may be back: it still holds what it had, and takes itself for the master for a while.
    group.master.thaw();
    for (let round = 0; round < 100; round++) {
      expect(await other.getMany(['after', `none:${round}`])).toEqual(['again', undefined]);
      expect(await cache.set('after', 'again')).toBe(true);
    }
  });
});
