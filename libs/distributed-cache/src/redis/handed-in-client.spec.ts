import { redisStore } from 'cache-manager-ioredis-yet';
import { Redis, type RedisOptions } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { ownRedis, redisForTest } from '../../../../test/support/redis-for-test.js';
import { listenersOf } from '../../../../test/support/watch-leaks.js';
import type { RedisOption } from '../config/index.js';

type Make = (options: RedisOptions) => Promise<{ client: Redis; option: RedisOption }>;

/** The ways in which an application hands in its client. */
const WAYS: readonly (readonly [name: string, make: Make])[] = [
  [
    'an ioredis client',
    async (options) => {
      const client = new Redis(options);
      return { client, option: { client } };
    },
  ],
  [
    'a store of cache-manager-ioredis-yet',
    async (options) => {
      const store = await redisStore(options);
      return { client: store.client as Redis, option: { store } };
    },
  ],
];

async function handedIn(make: Make, options: RedisOptions): Promise<{ client: Redis; option: RedisOption }> {
  const made = await make(options);
  onTestFinished(() => made.client.disconnect());
  return made;
}

describe.each(WAYS)('%s that is handed in', (_name, make) => {
  it('is used, stays open, and keeps exactly its own listeners', async () => {
    const { host, port, keyPrefix, admin } = redisForTest();
    const { client, option } = await handedIn(make, { host, port });
    const onError = vi.fn();
    client.on('error', onError);
    client.on('close', onError);
    const before = listenersOf(client);
    const all = cacheForTest({ redis: option, keyPrefix });
    const cache = all.getCache('users');
    expect(await cache.set('user:1', { name: 'Ada' })).toBe(true);
    expect(await cache.getOrSet('user:1', () => ({ name: 'never asked' }))).toEqual({ name: 'Ada' });
    expect(await admin.exists(`${keyPrefix}:users:user:1`)).toBe(1);
    expect(await all.healthCheck()).toMatchObject({ status: 'up', redisConnected: true });
    await all.close();
    expect(client.status).toBe('ready');
    expect(await client.ping()).toBe('PONG');
    expect(listenersOf(client)).toEqual(before);
    expect(onError).not.toHaveBeenCalled();
  });

  it('accumulates no listeners over many caches, one after the other', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const { client, option } = await handedIn(make, { host, port });
    client.on('error', () => {});
    const before = listenersOf(client);
    for (let round = 0; round < 20; round++) {
      const all = cacheForTest({ redis: option, keyPrefix });
      await all.getCache('users').set('key', round);
      await all.close();
    }
    expect(listenersOf(client)).toEqual(before);
  });

  it('may connect later, by the application or by the cache', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const { option } = await handedIn(make, { host, port, lazyConnect: true });
    const cache = cacheForTest({ redis: option, keyPrefix }).getCache('users');
    expect(await cache.set('key', 1)).toBe(true);
  });

  it('reconnects by its own rules, and is used again afterwards', async () => {
    const server = await ownRedis();
    const { client, option } = await handedIn(make, { host: server.host, port: server.port, retryStrategy: () => 50 });
    client.on('error', () => {});
    const all = cacheForTest({ redis: option });
    const cache = all.getCache<number>('users');
    await cache.set('key', 1);
    await server.killHard();
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'degraded' }));
    expect(await cache.getOrSet('other', async () => 2)).toBe(2);
    await server.restart();
    await vi.waitFor(async () => expect(await cache.set('key', 3)).toBe(true), { timeout: 5000, interval: 20 });
  });

  it('may be closed by the application: the cache has connections of its own', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const { client, option } = await handedIn(make, { host, port });
    const all = cacheForTest({ redis: option, keyPrefix });
    const cache = all.getCache('users');
    await cache.set('key', 1);
    await client.quit();
    expect(await cache.set('key', 2)).toBe(true);
    expect(await all.healthCheck()).toMatchObject({ status: 'up' });
  });
});

describe('two caches that share a handed-in client', () => {
  it('both work, and one continues when the other is closed', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const client = new Redis({ host, port });
    onTestFinished(() => client.disconnect());
    const [one, other] = [
      cacheForTest({ redis: { client }, keyPrefix }),
      cacheForTest({ redis: { client }, keyPrefix }),
    ];
    await one.getCache('users').set('key', 1);
    expect(await other.getCache('users').get('key')).toBe(1);
    await one.close();
    expect(await other.getCache('users').set('key', 2)).toBe(true);
    expect(await other.getCache('users').get('key')).toBe(2);
  });
});

describe('a client that is handed in to two caches', () => {
  it('lets each cache track the changes of the other cache, and those of the application', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const { client } = await handedIn(WAYS[0]![1], { host, port });
    client.on('error', () => {});
    const [one, other] = [0, 1].map(() => cacheForTest({ redis: { client }, keyPrefix }).getCache('users'));
    await one!.set('key', 'old');
    await vi.waitFor(async () => expect(await other!.lookup('key')).toMatchObject({ value: 'old', tier: 'local' }));
    await one!.set('key', 'new');
    await vi.waitFor(async () => expect(await other!.get('key')).toBe('new'));
    await client.del(`${keyPrefix}:users:key`);
    await vi.waitFor(async () => expect(await other!.get('key')).toBeUndefined());
    await vi.waitFor(async () => expect(await one!.get('key')).toBeUndefined());
  });

  it('keeps the result of a load right after a deletion', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const { client } = await handedIn(WAYS[0]![1], { host, port });
    const cache = cacheForTest({ redis: { client }, keyPrefix }).getCache('users');
    for (let round = 0; round < 50; round++) {
      await cache.delete('key');
      const load = vi.fn(async () => round);
      expect(await cache.getOrSet('key', load)).toBe(round);
      expect(await cache.getOrSet('key', load)).toBe(round);
      expect(load).toHaveBeenCalledTimes(1);
    }
  });

  it('is not used: no command of the cache enters a transaction of the application or ends its WATCH', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const { client } = await handedIn(WAYS[0]![1], { host, port });
    const own = `${keyPrefix}-own`;
    const cache = cacheForTest({ redis: { client }, keyPrefix }).getCache('users');
    await cache.set('key', 'value');
    await client.watch(own);
    await cache.set('key', 'while watched');
    await client.set(own, 0);
    await client.multi({ pipeline: false });
    const queued = client.incr(own);
    expect(await cache.set('key', 'within')).toBe(true);
    expect(await cache.getOrSet('other', () => 'loaded')).toBe('loaded');
    await cache.delete('key');
    expect(await queued).toBe('QUEUED');
    expect(await client.exec()).toBeNull(); // the watched key has changed
    await client.del(own);
    await client.multi({ pipeline: false });
    await client.incr(own);
    await cache.set('key', 'within');
    expect(await client.exec()).toEqual([[null, 1]]);
    expect(await cache.get('key')).toBe('within');
  });

  it('is not blocked: a blocking command of the application delays no command of the cache', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const { client } = await handedIn(WAYS[0]![1], { host, port });
    const all = cacheForTest({ redis: { client }, keyPrefix });
    const cache = all.getCache('users');
    const blocked = client.blpop(`${keyPrefix}-list`, 0);
    expect(await cache.set('key', 'value')).toBe(true);
    expect(await cache.get('key')).toBe('value');
    client.disconnect();
    await expect(blocked).rejects.toThrow('Connection is closed');
  });

  it('keeps its database and its options, independent of what the application selects for its own commands', async () => {
    const { host, port, keyPrefix, admin } = redisForTest();
    const client = new Redis({ host, port, db: 3, stringNumbers: true, enableAutoPipelining: true });
    onTestFinished(() => client.disconnect());
    await client.select(4);
    const cache = cacheForTest({ redis: { client }, keyPrefix }).getCache('users');
    expect(await cache.set('key', 1)).toBe(true);
    expect(await cache.getOrSet('other', () => 2)).toBe(2);
    await admin.select(3);
    expect(await admin.exists(`${keyPrefix}:users:key`, `${keyPrefix}:users:other`)).toBe(2);
  });

  it('has no tracking', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const { client } = await handedIn(WAYS[0]![1], { host, port });
    const all = cacheForTest({ redis: { client }, keyPrefix });
    await all.getCache('users').set('key', 1);
    expect(await client.client('TRACKINGINFO')).toContainEqual(['off']);
  });
});
