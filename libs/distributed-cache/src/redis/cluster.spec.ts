import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { userOf } from '../../../../scripts/corpora.mjs';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { failoverLoad } from '../../../../test/support/failover-load.js';
import { RedisCluster } from '../../../../test/support/redis-cluster.js';
import type { RedisServer } from '../../../../test/support/redis-server.js';
import { watchTimers } from '../../../../test/support/watch-leaks.js';
import type { DistributedCacheOptions } from '../config/index.js';
import type { DistributedCache } from '../core/index.js';
import { keySlot, SLOT_COUNT } from '../keys/index.js';

const KEYS = Array.from({ length: 60 }, (_, index) => `key:${index}`);
let prefixes = 0;

describe('a cache over a Redis Cluster', () => {
  let group: RedisCluster;
  beforeAll(async () => void (group = await RedisCluster.start()));
  afterAll(() => group?.stop());

  function options(): DistributedCacheOptions & { keyPrefix: string } {
    // One node is enough to find the others.
    const cluster = { nodes: group.addresses.slice(0, 1) };
    return { redis: { cluster }, keyPrefix: `test-${prefixes++}`, deadlineMs: 5000 };
  }

  it('finds every node from one address, and stores keys on each', async () => {
    const own = options();
    const [cache, other] = [cacheForTest(own).getCache('users'), cacheForTest(own).getCache('users')];
    for (const key of KEYS) {
      expect(await cache.set(key, { key })).toBe(true);
      expect(await other.get(key)).toEqual({ key });
      expect(await cache.getOrSet(`loaded:${key}`, async () => key)).toBe(key);
      expect(await other.getOrSet(`loaded:${key}`, async () => 'not asked')).toBe(key);
    }
    const held = await Promise.all(group.masters.map((master) => master.command('DBSIZE')));
    expect(held.every((count) => Number(count) > 20)).toBe(true);
  });

  it('shares the dictionary of a namespace, whose keys are in one slot', async () => {
    const own = { ...options(), local: false, namespaces: { users: { compression: { dictionary: true } } } } as const;
    const [cache, other] = [cacheForTest(own).getCache('users'), cacheForTest(own).getCache('users')];
    await cache.setMany(new Map(Array.from({ length: 200 }, (_, index) => [`row:${index}`, userOf(index)])));
    await vi.waitFor(async () => {
      await cache.set('row', userOf(1000));
      expect((await cache.inspect('row')).redis).toMatchObject({ compressor: 'dictionary' });
    });
    expect(await other.get('row')).toEqual(userOf(1000));
  });

  it('is healthy, and closes at once', async () => {
    const all = cacheForTest(options());
    expect(await all.healthCheck()).toMatchObject({ status: 'up', redisConnected: true });
    await all.close();
    expect(await all.healthCheck()).toMatchObject({ redisConnected: false });
  });

  it('receives the answers of every master to commands that were sent before it closes', async () => {
    const own = options();
    const all = cacheForTest(own);
    expect(await all.getCache('users').setMany(KEYS.map((key) => [key, key] as const))).toBe(true);
    const another = cacheForTest(own);
    await another.connect();
    await Promise.all(group.masters.map((master) => master.command('CLIENT', 'PAUSE', 300)));
    const reading = another.getCache<string>('users').getMany(KEYS);
    await another.close();
    expect(await reading).toEqual(KEYS);
  });

  it('leaves no timer behind, even when it closes during a refresh of the slots', async () => {
    const { host, port } = group.masters[0]!;
    const looking = { nodes: [{ host, port }], options: { clientOptions: { slotsRefreshInterval: 1 } } };
    const timersLeft = watchTimers();
    for (let time = 0; time < 10; time++) {
      const all = cacheForTest({ redis: { cluster: looking } });
      expect(await all.getCache('users').set('key', time)).toBe(true);
      await all.close();
    }
    await vi.waitFor(() => expect(timersLeft()).toEqual([]), { timeout: 20_000, interval: 20 });
  });

  it.each([
    ['is full', 'OOM', 'maxmemory', '1mb'],
    ['has too few replicas', 'NOREPLICAS', 'min-replicas-to-write', '1'],
  ])('is degraded for as long as one master %s, whatever the others store', async (_what, reply, setting, value) => {
    const own = { ...options(), requireRedis: true };
    const all = cacheForTest(own);
    const cache = all.getCache('users');
    const told: string[] = [];
    all.events.on('redisRefused', ({ command }) => told.push(command));
    const setAll = async (): Promise<Set<boolean>> => new Set(await Promise.all(KEYS.map((key) => cache.set(key, 1))));
    expect(await setAll()).toEqual(new Set([true]));
    const [, master] = group.masters;
    await master?.command('CONFIG', 'SET', setting, value);
    onTestFinished(async () => void (await master?.command('CONFIG', 'SET', setting, '0')));
    for (let round = 0; round < 20; round++) {
      expect(await setAll()).toEqual(new Set([true, false]));
      const { status, redisConnected, message } = await all.healthCheck();
      expect([status, redisConnected]).toEqual(['degraded', true]);
      expect(message).toMatch(
        new RegExp(
          `Redis refuses [\\w, ]+ on ${own.keyPrefix}:\\* \\(${reply}\\) on 1 of 3 masters: for their keys nothing is stored`,
        ),
      );
    }
    expect(new Set(told).size).toBe(told.length);
    await master?.command('CONFIG', 'SET', setting, '0');
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'up' }));
    expect(await setAll()).toEqual(new Set([true]));
  });

  it('is down, where Redis is required, when no master accepts writes', async () => {
    const all = cacheForTest({ ...options(), requireRedis: true });
    await all.connect();
    const setAll = (value: string): Promise<unknown> =>
      Promise.all(group.masters.map((master) => master.command('CONFIG', 'SET', 'min-replicas-to-write', value)));
    onTestFinished(async () => void (await setAll('0')));
    await setAll('1');
    await vi.waitFor(async () => {
      await Promise.all(KEYS.map((key) => all.getCache('users').set(key, 1)));
      expect((await all.healthCheck()).toJSON()).toMatchObject({ status: 'down', redis_connected: true });
    });
  });

  it('stores and deletes for a user without transactions, and uses them once they are granted', async () => {
    const onAll = (...rules: readonly string[]): Promise<unknown> =>
      Promise.all(group.masters.map((master) => master.command('ACL', 'SETUSER', 'single', ...rules)));
    await onAll('on', '>secret', '~*', '&*', '+@all', '-multi', '-exec');
    const { keyPrefix, deadlineMs } = options();
    const cluster = { nodes: group.addresses, options: { username: 'single', password: 'secret' } };
    const all = cacheForTest({ redis: { cluster }, keyPrefix, deadlineMs });
    const cache = all.getCache('users');
    const changeAll = async (): Promise<void> => {
      expect(await Promise.all(KEYS.map((key) => cache.set(key, key)))).toEqual(KEYS.map(() => true));
      expect(await Promise.all(KEYS.map((key) => cache.delete(key)))).toEqual(KEYS.map(() => true));
    };
    await changeAll();
    expect(await all.healthCheck()).toMatchObject({ status: 'up', redis: { journalLength: 0 } });
    await onAll('+multi', '+exec');
    const nowMs = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs() + 60_000);
    const transactions = async (): Promise<number> => {
      const stats = await Promise.all(group.masters.map((master) => master.command('INFO', 'commandstats')));
      return stats.reduce<number>(
        (sum, text) => sum + Number(/cmdstat_exec:calls=(\d+)/.exec(String(text))?.[1] ?? 0),
        0,
      );
    };
    const before = await transactions();
    await vi.waitFor(async () => {
      await changeAll();
      expect(await transactions()).toBeGreaterThan(before + KEYS.length);
    });
  });

  it('uses a client that is handed in, and does not close it', async () => {
    const client = new Cluster(group.addresses);
    onTestFinished(() => client.disconnect());
    const all = cacheForTest({ redis: { client }, keyPrefix: options().keyPrefix });
    const cache = all.getCache<string>('users');
    expect(await cache.setMany(KEYS.map((key) => [key, key] as const))).toBe(true);
    expect(await cache.deleteMany(KEYS)).toBe(KEYS.length);
    await all.close();
    expect(client.status).toBe('ready');
  });
});

describe('a cache over a Redis Cluster with a frozen master', () => {
  const MASTERS = 3;

  /** @param stampHangs whether the frozen master is the one with the stamp of the namespace */
  async function hangingGroup(stampHangs: boolean): Promise<{
    hung: RedisServer;
    mine: string[];
    others: string[];
    all: DistributedCache;
    another: DistributedCache;
  }> {
    const group = await RedisCluster.start({ masters: MASTERS });
    onTestFinished(() => group.stop());
    // Otherwise every master refuses every key as soon as the others consider the frozen one dead.
    await Promise.all(
      group.masters.map((node) => node.command('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')),
    );
    const options = { redis: { cluster: { nodes: group.addresses } } };
    const [all, another] = [cacheForTest(options), cacheForTest(options)];
    await Promise.all([all.connect(), another.connect()]);
    const masterOf = (key: string): number => Math.floor((keySlot(`cache:users:${key}`) * MASTERS) / SLOT_COUNT);
    const index = (masterOf('#clear') + (stampHangs ? 0 : 1)) % MASTERS;
    const isMine = (key: string): boolean => masterOf(key) === index;
    return {
      hung: group.masters[index]!,
      mine: KEYS.filter(isMine),
      others: KEYS.filter((key) => !isMine(key)),
      all,
      another,
    };
  }

  it.each([
    ['an entry', false],
    ['the stamp of the namespace', true],
  ])(
    'serves from the other masters, uses L1 for the frozen one, and reports it: %s belongs to the frozen one',
    async (_what, stampHangs) => {
      const { hung, mine, others, all, another } = await hangingGroup(stampHangs);
      const [cache, second] = [all.getCache<string>('users'), another.getCache<string>('users')];
      expect(await cache.setMany(KEYS.map((key) => [key, key] as const))).toBe(true);
      expect(await second.getMany(KEYS)).toEqual(KEYS);
      const told: string[] = [];
      all.events.on('redisConnectionFailed', ({ address, reason }) => told.push(`${address} ${reason}`));
      all.events.on('redisConnected', ({ address }) => told.push(`${address} back`));
      hung.freeze();
      await vi.waitFor(() => expect(told).toEqual([`${hung.host}:${hung.port} timeout`]), { timeout: 5000 });

      const waits: number[] = [];
      for (const [index, key] of others.entries()) {
        const askedAtMs = performance.now();
        expect(await cache.set(key, `new ${index}`)).toBe(true);
        waits.push(performance.now() - askedAtMs);
      }
      expect(waits.toSorted((one, other) => one - other)[Math.floor(waits.length / 2)]).toBeLessThan(100);
      await vi.waitFor(async () =>
        expect(await second.getMany(others)).toEqual(others.map((_, index) => `new ${index}`)),
      );
      const load = vi.fn(async () => 'loaded');
      expect(await Promise.all(mine.map((key) => cache.getOrSet(key, load)))).toEqual(mine);
      expect(load).not.toHaveBeenCalled();
      expect(await cache.getMany(KEYS)).not.toContain(undefined);
      const health = await all.healthCheck();
      expect(health.toJSON()).toMatchObject({ status: 'degraded', redis_connected: true, nodes_down: 1 });
      expect(health.message).toBe("Redis can't be used on 1 of 3 masters (timeout)");

      hung.thaw();
      await vi.waitFor(async () => expect((await all.healthCheck()).status).toBe('up'), { timeout: 5000 });
      expect(told.slice(1)).toEqual([`${hung.host}:${hung.port} back`]);
      await vi.waitFor(async () => expect(await cache.set(mine[0]!, 'stored')).toBe(true));
    },
  );

  it('replays the deletions on the frozen master before its keys are read again', async () => {
    const { hung, mine, all, another } = await hangingGroup(true);
    const cache = all.getCache<string>('users');
    const other = another.getCache<string>('users');
    expect(await cache.setMany(mine.map((key) => [key, 'old'] as const))).toBe(true);
    expect(await other.getMany(mine)).toEqual(mine.map(() => 'old'));
    hung.freeze();
    await vi.waitFor(async () => expect((await all.healthCheck()).redis?.nodesDown).toBe(1), { timeout: 5000 });
    await cache.deleteMany(mine);
    expect((await all.healthCheck()).redis?.journalLength).toBe(mine.length);
    hung.thaw();
    await vi.waitFor(async () => expect((await all.healthCheck()).redis?.nodesDown).toBe(0), { timeout: 5000 });
    expect(await cache.getMany(mine)).toEqual(mine.map(() => undefined));
    await vi.waitFor(async () => expect(await other.getMany(mine)).toEqual(mine.map(() => undefined)), {
      timeout: 5000,
    });
    expect((await all.healthCheck()).redis?.journalLength).toBe(0);
  });
});

describe('a Redis Cluster that loses one master by death and another by a freeze', () => {
  it('causes no error for a caller, and the replicas accept writes afterwards', async () => {
    const group = await RedisCluster.start({ masters: 3, replicas: 3 });
    onTestFinished(() => group.stop());
    const options = { redis: { cluster: { nodes: group.addresses } } };
    const cache = cacheForTest(options).getCache<string>('users');
    expect(await cache.setMany(KEYS.map((key) => [key, key] as const))).toBe(true);
    const load = failoverLoad(cache, KEYS);
    await load.untilCalls(200);
    for (const [index, lose] of [() => group.killMaster(0), () => group.masters[1]?.freeze()].entries()) {
      await lose();
      const entries = KEYS.map((key) => [`after:${index}:${key}`, key] as const);
      const other = cacheForTest(options).getCache<string>('users');
      // Every slot again, also those of the dead node, whose replica has taken over. They are read again at each
      // attempt: the deletion of an earlier attempt whose result is unknown may arrive after this one.
      await vi.waitFor(
        async () => {
          expect(await cache.setMany(entries)).toBe(true);
          expect(await other.getMany(entries.map(([key]) => key))).toEqual(KEYS);
        },
        { timeout: 15_000, interval: 50 },
      );
      expect(Number(await group.replicas[index]?.command('DBSIZE'))).toBeGreaterThan(20);
    }
    expect(await load.stop()).toEqual({ errors: [], wrong: [] });
  });
});
