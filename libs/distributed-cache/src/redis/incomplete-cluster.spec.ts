import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { cachesForTest, cacheForTest } from '../../../../test/support/cache-for-test.js';
import { RedisCluster } from '../../../../test/support/redis-cluster.js';
import { untilTrue } from '../../../../test/support/until-true.js';
import type { AsyncCache } from '../core/index.js';
import { keySlot, SLOT_COUNT } from '../keys/index.js';

const SOON = { timeout: 20_000, interval: 50 };
const PREFIX = 'incomplete';
const KEYS = Array.from({ length: 60 }, (_, index) => `key:${index}`);
const MASTERS = 3;

/** The index of the master that holds a key. */
function masterOf(key: string): number {
  return Math.floor((keySlot(`${PREFIX}:users:${key}`) * MASTERS) / SLOT_COUNT);
}

/** The last master is lost: the keys that it holds, and the others. */
const LOST_KEYS = KEYS.filter((key) => masterOf(key) === MASTERS - 1);
const OTHER_KEYS = KEYS.filter((key) => masterOf(key) < MASTERS - 1);

describe('a Cluster that has lost a master without a replica', () => {
  let group: RedisCluster;
  beforeAll(async () => void (group = await RedisCluster.start({ masters: MASTERS })));
  afterAll(() => group?.stop());

  async function untilState(state: 'ok' | 'fail'): Promise<void> {
    await Promise.all(
      group.masters
        .filter(({ isRunning }) => isRunning)
        .map((master) =>
          untilTrue(async () => String(await master.command('CLUSTER', 'INFO')).includes(`cluster_state:${state}`)),
        ),
    );
  }

  it('is survived, with full coverage and without, and nothing that was changed meanwhile is undone', async () => {
    const options = { redis: { cluster: { nodes: group.addresses } }, keyPrefix: PREFIX };
    const all = cacheForTest(options);
    const required = cacheForTest({ ...options, requireRedis: true });
    const [cache, other] = [all.getCache<string>('users'), (await cachesForTest(1, options))[0] as AsyncCache<string>];
    await Promise.all([all.connect(), required.connect()]);
    expect(await cache.setMany(KEYS.map((key) => [key, 'old'] as const))).toBe(true);
    expect(await other.getMany(KEYS)).toEqual(KEYS.map(() => 'old'));
    const [lost] = group.masters.slice(-1);
    await lost?.killHard();

    // With full coverage, the default, the other masters refuse every key.
    await untilState('fail');
    const load = vi.fn(async () => 'loaded');
    expect(await Promise.all(KEYS.map((key) => cache.getOrSet(key, load)))).toEqual(KEYS.map(() => 'old'));
    expect(load).not.toHaveBeenCalled();
    expect(await Promise.all(KEYS.map((key) => cache.getOrSet(`new:${key}`, async () => key)))).toEqual(KEYS);
    expect(await cache.set(OTHER_KEYS[0]!, 'new')).toBe(false);
    expect(await cache.get(OTHER_KEYS[0]!)).toBe('new');
    await cache.delete(OTHER_KEYS[1]!);
    expect(await cache.get(OTHER_KEYS[1]!)).toBeUndefined();
    await cache.set(LOST_KEYS[0]!, 'new');
    await cache.invalidateTags('tag');
    await cache.deleteMany(OTHER_KEYS.slice(2, 5));
    await vi.waitFor(async () => {
      await cache.get('another key');
      const health = await all.healthCheck();
      expect(health).toMatchObject({ status: 'degraded', redisConnected: true });
      expect(health.message).toMatch(/Redis can't be used on 1 of 3 masters \([\w-]+\);/);
      expect(health.message).toMatch(/on incomplete:\* \(CLUSTERDOWN\).*the Cluster is incomplete, and serves no key/);
    }, SOON);
    expect((await all.healthCheck()).redis?.journalLength).toBeGreaterThan(5);
    await vi.waitFor(async () => {
      await required.getCache('users').set('key', 'value');
      expect(await required.healthCheck()).toMatchObject({ status: 'down', redisConnected: true });
    }, SOON);

    // Without it, only the keys of the lost slots are concerned.
    await setCoverage('no');
    await untilState('ok');
    await vi.waitFor(
      async () => expect(await setAll(cache, OTHER_KEYS.slice(5), 'newer')).toEqual(new Set([true])),
      SOON,
    );
    expect(await setAll(cache, LOST_KEYS, 'newer')).toEqual(new Set([false]));
    await vi.waitFor(async () => {
      expect(await other.getMany(OTHER_KEYS.slice(5))).toEqual(OTHER_KEYS.slice(5).map(() => 'newer'));
      expect(await other.getMany(OTHER_KEYS.slice(0, 5))).toEqual(OTHER_KEYS.slice(0, 5).map(() => undefined));
      const { status, message } = await all.healthCheck();
      expect(status).toBe('degraded');
      expect(message).toMatch(/^Redis can't be used on 1 of 3 masters \([\w-]+\)$/);
    }, SOON);

    await setCoverage('yes');
    await lost?.restart();
    await untilState('ok');
    await vi.waitFor(async () => {
      expect(await all.healthCheck()).toMatchObject({ status: 'up', redis: { journalLength: 0 } });
      expect(await required.healthCheck()).toMatchObject({ status: 'up' });
      expect(await setAll(cache, LOST_KEYS, 'newest')).toEqual(new Set([true]));
    }, SOON);
    await vi.waitFor(async () => expect(await other.getMany(LOST_KEYS)).toEqual(LOST_KEYS.map(() => 'newest')), SOON);
    expect(await cache.getMany(OTHER_KEYS)).toEqual(await other.getMany(OTHER_KEYS));
  });

  async function setCoverage(coverage: 'yes' | 'no'): Promise<void> {
    for (const master of group.masters.filter(({ isRunning }) => isRunning)) {
      await master.command('CONFIG', 'SET', 'cluster-require-full-coverage', coverage);
    }
  }
});

async function setAll(cache: AsyncCache<string>, keys: readonly string[], value: string): Promise<Set<boolean>> {
  return new Set(await Promise.all(keys.map((key) => cache.set(key, value))));
}
