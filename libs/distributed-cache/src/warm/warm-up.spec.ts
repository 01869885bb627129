import { readFileSync } from 'node:fs';
import { describe, expect, expectTypeOf, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { liveCaches, untilInvalidation } from '../../../../test/support/channel-for-test.js';
import { RedisCluster } from '../../../../test/support/redis-cluster.js';
import { ownRedis, redisForTest } from '../../../../test/support/redis-for-test.js';
import type { RedisServer } from '../../../../test/support/redis-server.js';
import type { DistributedCache, DistributedCacheOptions, WarmUpOptions } from '../core/index.js';
import type { CacheEventMap } from '../events/index.js';

type WarmUpOption = Exclude<DistributedCacheOptions['warmUp'], undefined | false>;

const USERS = { namespaces: ['users'] } as const satisfies { namespaces: readonly string[] };

function optionsFor(server: RedisServer, warmUp: WarmUpOption = { namespaces: ['users'] }): DistributedCacheOptions {
  return { redis: { url: server.url }, warmUp };
}

/** Uses each key so many times. */
async function use(
  cache: DistributedCache,
  uses: Readonly<Record<string, number>>,
  namespace = 'users',
): Promise<void> {
  const entries = cache.getCache(namespace);
  for (const [key, count] of Object.entries(uses)) {
    await entries.set(key, `value of ${key}`);
    for (let call = 0; call < count; call++) {
      await entries.get(key);
    }
  }
}

async function untilWarm(cache: DistributedCache): Promise<void> {
  await vi.waitFor(() => expect(cache.warmUp.isWarm).toBe(true), { timeout: 5000, interval: 5 });
}

/** A process that has started on these options, and has warmed up. */
async function started(options: DistributedCacheOptions): Promise<DistributedCache> {
  const cache = cacheForTest(options);
  await cache.connect();
  await untilWarm(cache);
  return cache;
}

const keysIn = (cache: DistributedCache, namespace = 'users'): string[] =>
  cache
    .getCache(namespace)
    .topEntries('bytes', 10_000)
    .map(({ key }) => key)
    .sort();

describe('the hot keys', () => {
  it('are those of all processes together, and of the namespaces that were asked for only', async () => {
    const server = await ownRedis();
    const [one, other] = (await liveCaches(2, optionsFor(server))) as [DistributedCache, DistributedCache];
    await use(one, { shared: 6, own: 5, once: 1 });
    await use(other, { theirs: 7 });
    for (let call = 0; call < 8; call++) {
      await other.getCache('users').get('shared');
    }
    await use(one, { secret: 50 }, 'others');
    await one.warmUp.record();
    await other.warmUp.record();
    const hottest = await one.warmUp.hottest('users', 10);
    expect(hottest.map(({ key }) => key)).toEqual(['shared', 'theirs', 'own', 'once']);
    expect(await one.warmUp.hottest('others', 10)).toEqual([]);
    expect((await server.command('KEYS', '*hot*')) as string[]).not.toContain('cache:{#hot:others}');
  });

  it('are uses since the last record, and lose half of their weight once a minute, whichever processes record', async () => {
    const server = await ownRedis();
    const all = await liveCaches(3, optionsFor(server));
    await use(all[0]!, { key: 80 });
    await all[0]!.warmUp.record();
    await all[0]!.warmUp.record(); // nothing was used since
    expect(await all[0]!.warmUp.hottest('users', 1)).toEqual([{ key: 'key', score: 80 }]);
    await server.command('DEL', 'cache:{#hot:users}:decayed'); // a minute is over
    for (const each of all) {
      await use(each, { key: 8 });
      await each.warmUp.record();
    }
    expect(await all[0]!.warmUp.hottest('users', 1)).toEqual([{ key: 'key', score: 40 + 3 * 8 }]);
  });

  it('wait for Redis while it is away: no use is lost', async () => {
    const server = await ownRedis();
    const [cache] = (await liveCaches(1, optionsFor(server))) as [DistributedCache];
    await use(cache, { key: 4 });
    await server.killHard();
    await vi.waitFor(() => expect(cache.redis?.connection.isLive).toBe(false), { timeout: 5000 });
    await cache.warmUp.record();
    await server.restart();
    await untilInvalidation(cache, 'live');
    await cache.warmUp.record();
    expect(await cache.warmUp.hottest('users', 1)).toEqual([{ key: 'key', score: 4 }]);
  });

  it('are 5000 for each namespace at most, those that are used most', async () => {
    const server = await ownRedis();
    const [cache] = (await liveCaches(1, optionsFor(server))) as [DistributedCache];
    const old = Array.from({ length: 5000 }, (_, index) => [String(index + 2), `old:${index}`]).flat();
    await server.command('ZADD', 'cache:{#hot:users}', ...old);
    await server.command('SET', 'cache:{#hot:users}:decayed', '1');
    await use(cache, { rare: 1, frequent: 3 });
    await cache.warmUp.record();
    expect(await server.command('ZCARD', 'cache:{#hot:users}')).toBe(5000);
    const keys = (await cache.warmUp.hottest('users', 6000)).map(({ key }) => key);
    expect(keys).toContain('frequent');
    expect(keys).not.toContain('rare');
  });

  it('hold 95 of the 100 keys that a skewed load uses most', async () => {
    const { url, keyPrefix } = redisForTest();
    const all = await liveCaches(2, { redis: { url }, keyPrefix, warmUp: { namespaces: ['users'] } });
    const uses = new Map<string, number>();
    let seed = 1;
    const next = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const keys = Array.from({ length: 2000 }, (_, rank) => `key:${rank}`);
    await all[0]!.getCache('users').setMany(keys.map((key) => [key, key]));
    for (let call = 0; call < 20_000; call++) {
      const key = `key:${Math.floor(2000 ** next()) - 1}`; // Zipf with the exponent 1
      uses.set(key, (uses.get(key) ?? 0) + 1);
      await all[call % 2]!.getCache('users').get(key);
      if (call % 5000 === 4999) {
        await Promise.all(all.map((each) => each.warmUp.record()));
      }
    }
    const top = [...uses].sort((one, other) => other[1] - one[1]).slice(0, 100);
    const recorded = new Set((await all[0]!.warmUp.hottest('users', 120)).map(({ key }) => key));
    expect(top.filter(([key]) => recorded.has(key)).length).toBeGreaterThanOrEqual(95);
  });

  it('are not recorded without the option, nor by a cache without L1', async () => {
    const server = await ownRedis();
    const redis = { url: server.url };
    for (const options of [{ redis }, { redis, local: false, warmUp: { namespaces: ['users'] } }] as const) {
      const [cache] = (await liveCaches(1, options)) as [DistributedCache];
      await use(cache, { key: 3 });
      await cache.warmUp.record();
      expect(cache.warmUp.isWarm).toBe(true);
      expect((await cache.healthCheck()).toJSON()).not.toHaveProperty('warming');
    }
    expect(await server.command('EXISTS', 'cache:{#hot:users}')).toBe(0);
  });

  it('cost nothing but themselves where the user may not keep them: it is told once, and health names the command', async () => {
    const server = await ownRedis();
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~cache:*', '&*', '+@all', '-@sortedset');
    const told: CacheEventMap['redisRefused'][] = [];
    const cache = cacheForTest({ redis: { url: `redis://app:secret@127.0.0.1:${server.port}` }, warmUp: USERS });
    cache.events.on('redisRefused', (event) => void told.push(event));
    await cache.connect();
    await untilWarm(cache);
    await use(cache, { key: 3 });
    await cache.warmUp.record();
    expect(told).toEqual([
      { command: 'ZREVRANGE', reply: 'NOPERM', keyPattern: 'cache:{#hot:*}', effect: expect.any(String) },
    ]);
    expect((await cache.healthCheck()).toJSON()).toMatchObject({
      status: 'up',
      warming: false,
      warm_up_refused: 'ZREVRANGE NOPERM',
    });
    expect(await cache.getCache('users').get('key')).toBe('value of key');
  });
});

describe('a Cluster', () => {
  it('keeps hot keys, and fills L1 from all of its masters', async () => {
    const cluster = await RedisCluster.start();
    onTestFinished(() => cluster.stop());
    const options = { redis: { cluster: { nodes: cluster.addresses } }, warmUp: { namespaces: ['users', 'teams'] } };
    const [old] = (await liveCaches(1, options)) as [DistributedCache];
    const uses = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`key:${index}`, 1]));
    await use(old, uses);
    await use(old, { team: 1 }, 'teams');
    await old.warmUp.record();
    const cache = await started(options);
    expect(keysIn(cache)).toEqual(Object.keys(uses).sort());
    expect(keysIn(cache, 'teams')).toEqual(['team']);
  });
});

describe('the rights of the documentation', () => {
  it('suffice to record hot keys and to read them', async () => {
    const guarantees = readFileSync(new URL('../../../../docs/guarantees.md', import.meta.url), 'utf8');
    const [, line = ''] = /^ACL SETUSER app on >secret (.*)$/m.exec(guarantees) ?? [];
    const [, more = ''] = /\(warm-up\.md#what-is-recorded\)\s`(\+z[^`]*)`/.exec(guarantees) ?? [];
    const server = await ownRedis();
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', ...line.split(' '), ...more.split(' '));
    const options = { redis: { url: `redis://app:secret@127.0.0.1:${server.port}` }, warmUp: USERS };
    const [old] = (await liveCaches(1, options)) as [DistributedCache];
    await use(old, { key: 3 });
    await old.warmUp.record();
    const cache = await started(options);
    expect(keysIn(cache)).toEqual(['key']);
    expect((await cache.healthCheck()).toJSON()).not.toHaveProperty('warm_up_refused');
  });
});

describe('a warm-up', () => {
  it('reads the hot entries into L1, the hottest first, and runs no loader', async () => {
    const server = await ownRedis();
    const [old] = (await liveCaches(1, optionsFor(server))) as [DistributedCache];
    await use(old, { a: 3, b: 2, c: 1 });
    await old.warmUp.record();
    await old.getCache('users').delete('b');
    const told: CacheEventMap['warmedUp'][] = [];
    const cache = cacheForTest(optionsFor(server, { namespaces: ['users'], maxKeys: 2 }));
    cache.events.on('warmedUp', (event) => void told.push(event));
    await cache.connect();
    await untilWarm(cache);
    expect(keysIn(cache)).toEqual(['a']);
    expect(told).toEqual([{ outcome: 'done', durationMs: expect.any(Number), kept: 1, missing: 1, loaded: 0 }]);
    expect(await cache.getCache('users').lookup('a')).toMatchObject({ state: 'fresh', tier: 'local' });
    expect(cache.getMetrics()[0]).toMatchObject({ loads: 0, redisHits: 0, misses: 0 });
    expect(cache.getProcessMetrics().toJSON()).toMatchObject({
      warm: 1,
      warm_up_keys_kept: 1,
      warm_up_keys_missing: 1,
      warm_up_keys_loaded: 0,
    });
  });

  it('keeps the life of an entry, and no entry that was deleted, invalidated or cleared', async () => {
    const server = await ownRedis();
    const [old] = (await liveCaches(1, optionsFor(server, { namespaces: ['users', 'teams'] }))) as [DistributedCache];
    const users = old.getCache('users');
    await use(old, { stays: 1, deleted: 1 });
    await use(old, { cleared: 1 }, 'teams');
    await users.set('tagged', 1, { tags: ['tag'] });
    await users.set('short', 1, '20s');
    await Promise.all(['tagged', 'short'].map((key) => users.get(key)));
    await old.warmUp.record();
    await users.delete('deleted');
    await users.invalidateTags('tag');
    await old.getCache('teams').clear();
    const cache = await started(optionsFor(server, { namespaces: ['users', 'teams'] }));
    expect([...keysIn(cache), ...keysIn(cache, 'teams')]).toEqual(['short', 'stays']);
    const short = await cache.getCache('users').lookup('short');
    expect(short).toMatchObject({ tier: 'local' });
    expect((short as { ttlMs: number }).ttlMs).toBeLessThan(20_000);
    await users.set('stays', 'new');
    await vi.waitFor(async () => expect(await cache.getCache('users').get('stays')).toBe('new'));
  });

  it('never keeps a value that was changed while it was read', async () => {
    const server = await ownRedis();
    const [old] = (await liveCaches(1, optionsFor(server))) as [DistributedCache];
    const users = old.getCache('users');
    const keys = Array.from({ length: 600 }, (_, index) => `key:${index}`);
    await users.setMany(keys.map((key) => [key, 'before']));
    await Promise.all(keys.map((key) => users.get(key)));
    await old.warmUp.record();
    const cache = cacheForTest(optionsFor(server));
    await Promise.all([cache.connect(), ...keys.map((key) => users.set(key, 'after'))]);
    await untilWarm(cache);
    await Promise.all(
      [...keys.keys()].map((index) => (index % 2 ? users.set(`key:${index}`, 'last') : users.delete(`key:${index}`))),
    );
    const read = cache.getCache('users');
    await vi.waitFor(async () =>
      expect(await Promise.all(keys.map((key) => read.get(key)))).toEqual(
        keys.map((_key, index) => (index % 2 ? 'last' : undefined)),
      ),
    );
  });

  it('fills half of L1 at most', async () => {
    const server = await ownRedis();
    const [old] = (await liveCaches(1, optionsFor(server))) as [DistributedCache];
    const users = old.getCache('users');
    const keys = Array.from({ length: 1000 }, (_, index) => `key:${index}`);
    await users.setMany(keys.map((key) => [key, 'x'.repeat(1000)]));
    await users.getMany(keys);
    await old.warmUp.record();
    const cache = await started({ ...optionsFor(server), local: { maxMemoryMb: 0.5 } });
    const { localBytes, localEntries } = cache.getMetrics()[0]!;
    expect(localEntries).toBeGreaterThan(100);
    expect(localEntries).toBeLessThan(500);
    expect(localBytes).toBeLessThan(0.5 * 0.75 * 1024 * 1024);
  });

  it('ends at once where Redis is away: the process is warm, and degraded', async () => {
    const server = await ownRedis();
    await server.killHard();
    const cache = cacheForTest(optionsFor(server, { namespaces: ['users'], requireWarm: true }));
    const told: CacheEventMap['warmedUp'][] = [];
    cache.events.on('warmedUp', (event) => void told.push(event));
    await cache.connect();
    expect(cache.warmUp.isWarm).toBe(true);
    expect(told).toMatchObject([{ outcome: 'redis-away' }]);
    expect((await cache.healthCheck()).toJSON()).toMatchObject({ status: 'degraded', warming: false });
    await server.restart();
    await vi.waitFor(() => expect(cache.redis?.connection.isLive).toBe(true), { timeout: 5000 });
    expect(cache.warmUp.isWarm).toBe(true); // readiness does not change its mind
  });

  it('does nothing where no Redis is configured: the process is warm', async () => {
    const cache = cacheForTest({ redis: false, warmUp: USERS });
    await cache.connect();
    expect(cache.warmUp.isWarm).toBe(true);
    expect((await cache.healthCheck()).toJSON()).toMatchObject({ status: 'up' });
    expect(cache.getProcessMetrics().toJSON()).not.toHaveProperty('warm');
  });

  it('ends at its deadline where its reads take too long, and delays neither the start nor a call', async () => {
    const server = await ownRedis();
    const [old] = (await liveCaches(1, optionsFor(server))) as [DistributedCache];
    await use(old, { key: 1 });
    await old.warmUp.record();
    const cache = cacheForTest({
      ...optionsFor(server, { namespaces: ['users'], requireWarm: true, deadline: '1s' }),
    });
    const filling = vi.spyOn(cache.getCache('users').view, 'fill').mockReturnValue(new Promise(() => {}));
    await cache.connect();
    await vi.waitFor(() => expect(filling).toHaveBeenCalled());
    expect((await cache.healthCheck()).toJSON()).toMatchObject({
      status: 'down',
      warming: true,
      overall_healthy: false,
    });
    expect(await cache.getCache('users').get('key')).toBe('value of key');
    await untilWarm(cache);
    expect((await cache.healthCheck()).toJSON()).toMatchObject({ status: 'up', warming: false });
  });

  it('runs once more when an operator asks every process for it', async () => {
    const server = await ownRedis();
    const [asker, other] = (await liveCaches(2, optionsFor(server))) as [DistributedCache, DistributedCache];
    await Promise.all([asker, other].map(untilWarm));
    await use(asker, { key: 1 });
    await asker.warmUp.record();
    const looked = await asker.operations.warmUp({ deadlineMs: 5000 });
    expect(looked.answers.map(({ answer }) => answer)).toEqual(
      [1, 2].map(() => ({ namespaces: ['users'], isWarm: true, kept: 0, missing: 0, loaded: 0 })),
    );
    expect(keysIn(other)).toEqual([]);
    await asker.operations.warmUp({ starts: true });
    await vi.waitFor(() => expect(keysIn(other)).toEqual(['key']));
  });

  it('has hot keys also after a flush: each process restores what it has recorded last', async () => {
    const server = await ownRedis();
    const all = await liveCaches(2, optionsFor(server));
    await use(all[0]!, { one: 4 });
    await use(all[1]!, { two: 3 });
    await Promise.all(all.map((each) => each.warmUp.record()));
    await server.command('FLUSHALL');
    await vi.waitFor(async () =>
      expect(await all[0]!.warmUp.hottest('users', 5)).toEqual([
        { key: 'one', score: 4 },
        { key: 'two', score: 3 },
      ]),
    );
  });

  it.each([
    [{}, 'warmUp.namespaces'],
    [{ namespaces: [] }, 'warmUp.namespaces'],
    [{ namespaces: ['a:b'] }, 'warmUp.namespaces'],
    [{ namespaces: ['users'], maxKeys: 5001 }, 'warmUp.maxKeys'],
    [{ namespaces: ['users'], deadline: 0 }, 'warmUp.deadline'],
    [{ namespaces: ['users'], deadline: '2h' }, 'warmUp.deadline'],
    [{ namespaces: ['users'], load: true }, 'warmUp.load'],
    [{ namespaces: ['users'], load: { rate: 0 } }, 'warmUp.load.rate'],
    [{ namespaces: ['users'], keys: 5 }, 'warmUp.keys'],
  ])('refuses the options %j, and names %s', (warmUp, name) => {
    expect(() => cacheForTest({ redis: false, warmUp: warmUp as WarmUpOption })).toThrow(name);
    expectTypeOf<WarmUpOptions>().toEqualTypeOf<WarmUpOption>();
    expectTypeOf<WarmUpOptions['requireWarm']>().toEqualTypeOf<boolean | undefined>();
  });
});
