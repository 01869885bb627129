import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { miss, watchedPods, type WatchedPods } from '../../../../test/support/watched-pods.js';
import { ownRedis, proxyTo } from '../../../../test/support/redis-for-test.js';
import { RedisTier } from '../redis/index.js';
import type { DistributedCache } from './distributed-cache.js';
import { PendingReleases } from './lease.js';

const leaseOf = (key: string): string => `cache:{cache:users:${key}}:lease`;

/** The faults that the cache has emitted, one word each. */
function faultsOf(all: DistributedCache): string[] {
  const faults: string[] = [];
  all.events.on('tierError', ({ error }) => faults.push((error as { reply?: string }).reply ?? error.name));
  return faults;
}

/**
 * Two processes. The first one takes the lease at once from now on, after reads of values that only the second one has
 * set.
 */
async function podsThatTakeAtOnce(...keys: string[]): Promise<WatchedPods> {
  const pods = await watchedPods();
  await miss(pods.cache, 'a', 'b', 'c');
  await Promise.all(keys.map((key) => pods.other.set(key, `set ${key}`)));
  return pods;
}

describe('a lease that Redis does not take back', () => {
  it('removes no stored value when scripts are forbidden', async () => {
    const { server, all, cache } = await podsThatTakeAtOnce('there');
    await server.command('ACL', 'SETUSER', 'default', '-eval', '-evalsha');
    expect(await cache.getOrSet('there', async () => 'not asked')).toBe('set there');
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal'); // the repair that was pending happens now
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ redisConnected: true }));
    expect(await server.command('EXISTS', 'cache:users:there')).toBe(1);
  });

  it('removes no stored value when the connection is lost, and is given back after the reconnection', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const all = cacheForTest({ redis: { host: proxy.host, port: proxy.port } }, { leaseMs: 600_000 });
    const others = cacheForTest({ redis: { url: server.url } });
    await Promise.all([all.connect(), others.connect()]);
    const [cache, other] = [all.getCache('users'), others.getCache('users')];
    await miss(cache, 'a', 'b', 'c');
    await other.set('there', 'value');
    vi.spyOn(RedisTier.prototype, 'release').mockImplementationOnce(async function (this: RedisTier, ...asked) {
      proxy.cut();
      return this.release(...asked); // the mock covers one call only
    });
    expect(await cache.getOrSet('there', async () => 'not asked')).toBe('value');
    await vi.waitFor(async () => expect(await server.command('EXISTS', leaseOf('there'))).toBe(0));
    expect(await server.command('EXISTS', 'cache:users:there')).toBe(1);
    expect(await all.healthCheck()).toMatchObject({ redisConnected: true });
  });
});

describe('a lease that was never requested', () => {
  it('is not given back: thousands of commands are queued', async () => {
    const { server, cache, commandsFor } = await podsThatTakeAtOnce();
    const release = vi.spyOn(RedisTier.prototype, 'release');
    server.freeze();
    const writes = Array.from({ length: 5000 }, (_, index) => cache.set(`key${index}`, index));
    expect(await cache.getOrSet('wanted', async () => 'loaded')).toBe('loaded');
    server.thaw();
    await Promise.all(writes);
    expect(await commandsFor('wanted')).toEqual([]);
    expect(release).not.toHaveBeenCalled();
  });
});

describe('a process that takes the lease at once', () => {
  it('takes few leases in a burst of loads, and finds the existing values', async () => {
    const keys = Array.from({ length: 1000 }, (_, index) => `key${index}`);
    const { cache, commandsFor } = await podsThatTakeAtOnce(...keys);
    const load = vi.fn(async () => 'loaded');
    expect(await Promise.all(keys.map((key) => cache.getOrSet(key, load)))).toEqual(keys.map((key) => `set ${key}`));
    expect(load).not.toHaveBeenCalled();
    const takes = [];
    for (const key of keys) {
      takes.push(...(await commandsFor(key)).filter((command) => command === 'set lease'));
    }
    expect(takes.length).toBeGreaterThan(0);
    // 32 at first, and a few more where a slow machine delivers the first answers before the last requests leave.
    expect(takes.length).toBeLessThanOrEqual(keys.length / 4);
  });

  it('leaves no lease behind at a value of another type', async () => {
    const { server, all, cache } = await podsThatTakeAtOnce();
    const faults = faultsOf(all);
    await server.command('LPUSH', 'cache:users:list', 'of another program');
    expect(await cache.getOrSet('list', async () => 'loaded')).toBe('loaded');
    expect(faults).toEqual(['WRONGTYPE']);
    await vi.waitFor(async () => expect(await server.command('EXISTS', leaseOf('list'))).toBe(0));
  });

  it.each(['miss', 'hit'])('reports an unreadable entry once, after a %s', async (kind) => {
    const { server, all, cache } = await podsThatTakeAtOnce('x', 'y', 'z');
    for (const key of kind === 'hit' ? ['x', 'y', 'z'] : []) {
      await cache.getOrSet(key, async () => 'not asked');
    }
    const faults = faultsOf(all);
    await server.command('SET', 'cache:users:bad', Buffer.from([0xdc, 9]));
    expect(await cache.getOrSet('bad', async () => 'loaded')).toBe('loaded');
    expect(faults).toEqual(['CorruptEntryError']);
  });

  it('returns the value although Redis is full, reports the refusal once and asks once', async () => {
    const { server, all, cache, commandsFor } = await podsThatTakeAtOnce('there');
    const faults = faultsOf(all);
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await server.command('CONFIG', 'SET', 'maxmemory', '1mb');
    const before = (await commandsFor('there')).length;
    const load = vi.fn(async () => 'loaded');
    expect(await cache.getOrSet('there', load)).toBe('set there');
    expect(load).not.toHaveBeenCalled();
    expect(faults).toEqual(['OOM']);
    expect((await commandsFor('there')).slice(before)).toEqual(['get', 'get', 'get lease']); // refused ones are not seen
    expect(await cache.getOrSet('missing', load)).toBe('loaded');
  });
});

describe('a Redis that gives no lease', () => {
  it.each<[string, readonly string[]]>([
    ['scripts are forbidden', ['ACL', 'SETUSER', 'default', '-eval', '-evalsha']],
    ['Redis is full', ['CONFIG', 'SET', 'maxmemory', '1mb']],
  ])('a hold-off of another process is respected: %s', async (_what, [name = '', ...args]) => {
    const { server, cache, other } = await podsThatTakeAtOnce();
    await other.delete('key', { holdOff: 30 });
    await server.command(name, ...args);
    await miss(cache, 'd', 'e', 'f'); // from here on the process knows that there are no leases
    expect(await cache.getOrSet('key', async () => 'lagging')).toBe('lagging');
    expect(await cache.getOrSet('key', async () => 'asked again')).toBe('asked again');
  });

  it('the values are found although the user may access nothing else', async () => {
    const keys = Array.from({ length: 40 }, (_, index) => `key${index}`);
    const { server, cache } = await podsThatTakeAtOnce(...keys);
    await server.command('ACL', 'SETUSER', 'default', 'resetkeys', '~cache:*');
    const load = vi.fn(async () => 'loaded');
    expect(await Promise.all(keys.map((key) => cache.getOrSet(key, load)))).toEqual(keys.map((key) => `set ${key}`));
    expect(load).not.toHaveBeenCalled();
  });
});

describe('a Redis that refuses scripts', () => {
  it('is asked for no further lease while it refuses them', async () => {
    const { server, cache } = await watchedPods();
    await server.command('ACL', 'SETUSER', 'default', '-eval', '-evalsha');
    const leasesDuringLoad = (key: string) =>
      cache.getOrSet(key, () => server.command('EXISTS', leaseOf(key))) as Promise<number>;
    const leases = [];
    for (const key of ['a', 'b', 'c', 'd']) {
      leases.push(await leasesDuringLoad(key));
    }
    expect(leases).toEqual([1, 0, 0, 0]);
    await server.command('ACL', 'SETUSER', 'default', '+eval', '+evalsha');
    let attempt = 0;
    await vi.waitFor(async () => {
      const key = `granted${++attempt}`;
      await miss(cache, key);
      expect(await server.command('EXISTS', `cache:users:${key}`)).toBe(1);
    }, 5000);
  });
});

it('a pending release is sent once, and once more after a refusal', async () => {
  const pending = new PendingReleases();
  const given = { release: vi.fn(async () => {}) };
  const refused = { release: vi.fn(async () => pending.add(refused)) };
  pending.add(given);
  pending.add(refused);
  pending.release();
  pending.release();
  expect([given.release, refused.release].map(({ mock }) => mock.calls.length)).toEqual([1, 2]);
});

it('at most a thousand releases are pending: the other leases expire', () => {
  const pending = new PendingReleases();
  const release = vi.fn(async () => {});
  for (let count = 0; count < 1001; count++) {
    pending.add({ release });
  }
  pending.release();
  expect(release).toHaveBeenCalledTimes(1000);
});
