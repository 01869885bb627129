import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Registry } from 'prom-client';
import { ConfigurationError } from 'nestjs-distributed-cache/core';
import { registerCacheMetrics } from 'nestjs-distributed-cache/prometheus';
import { redisStreams, startRelay } from 'nestjs-distributed-cache/relay';
import { cacheForTest, untilLocal } from '../support/cache-for-test.js';
import { clientOf, ownRedis, redisForTest, sharedRedis } from '../support/redis-for-test.js';
import { leastRights } from '../contract/least-rights.js';
import { RedisCluster } from '../support/redis-cluster.js';
import type { RedisServer } from '../support/redis-server.js';
import { appliedIn, firstOf, regionOf, toRedis, twoRegions, type Region } from './regions.js';

const KEYS = ['set', 'setMany', 'delete', 'deleteMany', 'expire', 'tagged', 'kept'];

describe('a change in one region', () => {
  it('is an invalidation in every process of the other, once, and never comes back', async () => {
    const { eu, us, keyPrefix } = await twoRegions();
    await fill(us);
    await eu.others.set('set', 'new');
    await eu.others.setMany([['setMany', 'new']]);
    await eu.users.delete('delete');
    await eu.users.deleteMany(['deleteMany']);
    await eu.users.expire('expire');
    await eu.users.invalidateTags('tag {1}%');
    await vi.waitFor(() => expect(appliedIn(us)).toBe(6));
    for (const cache of [us.users, us.others]) {
      await vi.waitFor(async () => expect(await cache.getMany(KEYS)).toEqual([...absent(6), 'old']));
    }
    await firstOf(eu).getCache('users').clear();
    await vi.waitFor(async () => expect(await us.others.get('kept')).toBeUndefined());
    expect(appliedIn(us)).toBe(7);
    // The changes of `fill`; the outbox also has the line with which it begins.
    expect(appliedIn(eu)).toBe(KEYS.length);
    expect(await clientOf(us.server).xlen(`${keyPrefix}:{#relay}`)).toBe(KEYS.length + 1);
  });

  it('that was made while its Redis was away is told when it is back', async () => {
    const { eu, us } = await twoRegions();
    await us.users.set('a', 'old');
    await untilLocal(us.others, 'a');
    await eu.server.killHard();
    await vi.waitFor(async () => expect((await firstOf(eu).healthCheck()).redisConnected).toBe(false));
    await eu.others.delete('a');
    expect(await us.others.get('a')).toBe('old');
    await eu.server.restart();
    await vi.waitFor(async () => expect(await us.others.get('a')).toBeUndefined());
  });

  it('of a load is none: a load changes nothing for others', async () => {
    const { eu, us } = await twoRegions();
    await us.users.getOrSet('a', async () => 'loaded');
    await us.users.getOrSetMany(['b', 'c'], async (keys) => keys.map(() => 'loaded'));
    await us.users.delete('last');
    await vi.waitFor(() => expect(appliedIn(eu)).toBe(1));
  });

  it('ends the loads that are under way in the other region', async () => {
    const { eu, us } = await twoRegions();
    let finish = (_value: string): void => {};
    const loading = us.users.getOrSet('a', () => new Promise<string>((resolve) => (finish = resolve)));
    await vi.waitFor(async () => expect((await us.others.inspect('a')).redis).toMatchObject({ lease: {} }));
    await eu.users.delete('a');
    await vi.waitFor(() => expect(appliedIn(us)).toBe(1));
    finish('read before the change');
    expect(await loading).toBe('read before the change');
    expect(await us.others.get('a')).toBeUndefined();
    expect(await us.users.get('a')).toBeUndefined();
  });

  it('has a key prefix of its own in each region', async () => {
    const [eu, us] = [await regionOf('eu', 'shop-eu', 0), await regionOf('us', 'shop-us', 0)];
    startRelay(firstOf(eu), { us: redisStreams({ redis: { url: us.server.url }, keyPrefix: 'shop-us' }) });
    startRelay(firstOf(us), { eu: redisStreams({ redis: { url: eu.server.url }, keyPrefix: 'shop-eu' }) });
    await us.users.set('a', 'old');
    await vi.waitFor(() => expect(us.gaps).toHaveLength(1));
    await us.users.set('a', 'old');
    await eu.users.delete('a');
    await vi.waitFor(async () => expect(await us.others.get('a')).toBeUndefined());
  });

  it('of a cluster is told as well, and arrives in a cluster', async () => {
    const cluster = await RedisCluster.start();
    onTestFinished(() => cluster.stop());
    const far = await ownRedis();
    const redis = { cluster: { nodes: cluster.masters.map(({ port }) => ({ host: '127.0.0.1', port })) } };
    const [eu, us] = [cacheForTest({ region: 'eu', redis }), cacheForTest({ region: 'us', redis: { url: far.url } })];
    await Promise.all([eu.connect(), us.connect()]);
    startRelay(eu, { us: redisStreams({ redis: { url: far.url } }) });
    startRelay(us, { eu: redisStreams({ redis }) });
    const both = [eu, us].map((cache) => cache.getCache<string>('users'));
    for (const [here, there] of [both, both.toReversed()]) {
      const keys = Array.from({ length: 20 }, (_, index) => `${index}`);
      await vi.waitFor(async () => {
        await there?.setMany(keys.map((key) => [key, 'old']));
        await here?.deleteMany(keys);
        await vi.waitFor(async () => expect(await there?.getMany(keys)).toEqual(absent(20)), { timeout: 1000 });
      });
    }
  });
});

describe('a region whose messages may have been lost', () => {
  it('clears every namespace that any of its processes has used, when the outbox was trimmed beyond the position', async () => {
    const { eu, us, keyPrefix } = await twoRegions();
    await vi.waitFor(async () => expect(await clientOf(eu.server).hexists(`${keyPrefix}:{#relay}:sent`, 'us')).toBe(1));
    us.proxy.cut();
    await us.proxy.refuseNew(true);
    await vi.waitFor(() => expect(eu.failed.map(({ during }) => during)).toContain('publish'));
    const books = us.caches[1]?.getCache('books');
    await books?.set('b', 'old');
    await us.users.set('a', 'old');
    await eu.users.deleteMany(['a', 'x']);
    await eu.users.delete('y');
    await clientOf(eu.server).xtrim(`${keyPrefix}:{#relay}`, 'MAXLEN', 1);
    await us.proxy.refuseNew(false);
    await vi.waitFor(() => expect(us.gaps).toHaveLength(2));
    expect(us.gaps[1]).toMatchObject({ region: 'eu', namespaces: 2 });
    expect([await us.others.get('a'), await books?.get('b')]).toEqual(absent(2));
    await us.users.set('a', 'old');
    await eu.users.delete('a');
    await vi.waitFor(async () => expect(await us.others.get('a')).toBeUndefined());
    expect(us.gaps).toHaveLength(2);
  });

  it('clears when its own Redis was emptied, or undone by a failover', async () => {
    const { eu, us, keyPrefix } = await twoRegions();
    await clientOf(us.server).hset(`${keyPrefix}:{#relay}:seen`, 'eu', '1-0');
    await eu.users.delete('a');
    await vi.waitFor(() => expect(us.gaps).toHaveLength(2));
  });

  it('ignores a line that is no batch', async () => {
    const { eu, us, keyPrefix } = await twoRegions();
    const inbox = `${keyPrefix}:{#relay}:from:eu`;
    for (const text of ['{', '{"v":1}', '{"v":1,"region":"eu","last":"1-1","atMs":1,"changes":["a b:c"]}']) {
      await clientOf(us.server).xadd(inbox, '*', 'batch', text);
    }
    await us.users.set('a', 'old');
    await eu.users.delete('a');
    await vi.waitFor(() => expect(appliedIn(us)).toBe(1));
    expect(us.gaps).toHaveLength(1);
  });
});

describe('a relay', () => {
  it('is taken over by another process of the region when its leader closes', async () => {
    const { eu, us } = await twoRegions();
    const second = startRelay(eu.caches[1] ?? firstOf(eu), toRedis(us));
    expect(second.leads).toBe(false);
    await us.users.set('a', 'old');
    await firstOf(eu).close();
    await vi.waitFor(() => expect(second.leads).toBe(true));
    await eu.others.delete('a');
    await vi.waitFor(async () => expect(await us.others.get('a')).toBeUndefined());
    expect(us.gaps).toHaveLength(1);
  });

  it('says in health and in events what does not work, once, and that it works again', async () => {
    const { eu, us } = await twoRegions();
    const restored = vi.fn();
    firstOf(eu).events.on('relayRestored', restored);
    us.proxy.cut();
    await us.proxy.refuseNew(true);
    await vi.waitFor(() => expect(eu.failed).toMatchObject([{ link: 'us', during: 'publish' }]));
    const health = await firstOf(eu).healthCheck();
    expect(health.status).toBe('degraded');
    expect(health.message).toContain('relay: us publish fails (TierUnavailableError)');
    expect(health.toJSON()).toMatchObject({ relay: 'leads' });
    await us.proxy.refuseNew(false);
    await vi.waitFor(() => expect(restored).toHaveBeenCalledWith({ link: 'us', during: 'publish' }));
    expect(await firstOf(eu).healthCheck()).toMatchObject({ status: 'up' });
    expect(eu.failed).toHaveLength(1);
  });

  it('shows the lag of each region as a histogram', async () => {
    const { eu, us } = await twoRegions();
    const registry = new Registry();
    registerCacheMetrics(registry, firstOf(us));
    await eu.users.delete('a');
    await vi.waitFor(() => expect(appliedIn(us)).toBe(1));
    const text = await registry.metrics();
    expect(text).toContain('cache_relay_lag_seconds_count{region="eu"} 1');
    expect(text).toContain('cache_relay_lag_seconds_bucket{le="0.025",region="eu"} 0'); // the regions are 40 ms apart
  });

  it('closes its connections with the cache, and leaves no lease', async () => {
    const { eu, us, keyPrefix } = await twoRegions();
    await firstOf(eu).close();
    await vi.waitFor(() => expect(us.proxy.connections).toBe(0));
    expect(await clientOf(eu.server).exists(`${keyPrefix}:{#relay}:leader`)).toBe(0);
  });

  it('refuses to start without a region, twice, or with the address of no Redis', async () => {
    const shared = sharedRedis();
    expect(() => startRelay(cacheForTest(shared), {})).toThrow("Give it the option region: 'eu', or set CACHE_REGION");
    const cache = cacheForTest({ ...shared, region: 'eu' });
    startRelay(cache, {});
    expect(() => startRelay(cache, {})).toThrow('the cache has a relay already. Call it once, with all links');
    expect(() => redisStreams({ redis: { url: 'http://far' } })).toThrow(ConfigurationError);
  });

  it('does nothing for a cache that is switched off, or has no Redis', async () => {
    for (const options of [{ redis: false }, { ...sharedRedis(), enabled: false }] as const) {
      const relay = startRelay(cacheForTest({ ...options, region: 'eu' }), {});
      expect(relay.leads).toBe(false);
      await relay.close();
    }
  });

  it('goes on with its other links when one can not be made', async () => {
    const { eu, us } = await twoRegions({
      links: (other) => ({
        broken: () => {
          throw new Error('no such broker');
        },
        ...toRedis(other),
      }),
    });
    expect((await firstOf(eu).healthCheck()).message).toContain('relay: broken publish fails (Error)');
    await eu.users.delete('a');
    await vi.waitFor(() => expect(appliedIn(us)).toBe(1));
  });

  it('holds off the fills of keys, and invalidates tags and namespaces once more', async () => {
    const { eu, us } = await twoRegions({ delayMs: 0, options: { holdOff: '1s' } });
    await eu.users.delete('a');
    await eu.users.invalidateTags('t');
    await vi.waitFor(() => expect(appliedIn(us)).toBe(2));
    await us.users.getOrSet('a', async () => 'from a replica that lags');
    await us.users.set('b', 'from a replica that lags', { tags: ['t'] });
    expect(await us.others.get('a')).toBeUndefined();
    expect(await us.others.get('b')).toBe('from a replica that lags');
    await vi.waitFor(async () => expect(await us.others.get('b')).toBeUndefined());
  });
});

describe('without a region', () => {
  it('nothing is written for a relay', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    const cache = cacheForTest({ redis: { url }, keyPrefix }).getCache('users');
    await cache.set('a', 1);
    await cache.delete('a');
    await cache.clear();
    expect(await admin.exists(`${keyPrefix}:{#relay}`, `${keyPrefix}:{#relay}:namespaces`)).toBe(0);
  });
});

describe('where the user has no right to XADD', () => {
  it('no change is acknowledged, health says why, and the changes are told when the right is granted', async () => {
    const { eu, us } = await twoRegions();
    await us.users.set('a', 'old');
    await eu.server.command('ACL', 'SETUSER', 'default', '-xadd');
    await eu.users.delete('a');
    await vi.waitFor(async () =>
      expect((await firstOf(eu).healthCheck()).message).toContain(
        'XADD on ' + firstOf(eu).config.keyPrefix + ':* (NOPERM): no set and no deletion is acknowledged',
      ),
    );
    expect(await us.others.get('a')).toBe('old');
    await eu.server.command('ACL', 'SETUSER', 'default', '+xadd');
    await vi.waitFor(async () => expect(await us.others.get('a')).toBeUndefined());
  });
});

describe('the rights in docs/regions.md', () => {
  it('are enough: a change arrives, health is up, and no command is denied', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/regions.md'), 'utf8').split('\n');
    const [further, ofFar] = page.filter((line) => line.startsWith('ACL SETUSER')).map((line) => line.split(' '));
    const [near, far] = [await ownRedis(), await ownRedis()];
    for (const server of [near, far]) {
      await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', ...leastRights(), ...(further ?? []).slice(3));
      await server.command('ACL', 'SETUSER', ...(ofFar ?? []).slice(2));
    }
    const cacheOf = (region: string, { port }: RedisServer) =>
      cacheForTest({ region, redis: { host: '127.0.0.1', port, username: 'app', password: 'secret' } });
    const linkTo = ({ port }: RedisServer) =>
      redisStreams({ redis: { host: '127.0.0.1', port, username: 'relay', password: 'secret' } });
    const [eu, us] = [cacheOf('eu', near), cacheOf('us', far)];
    await Promise.all([eu.connect(), us.connect()]);
    startRelay(eu, { us: linkTo(far) }, { holdOff: 1 });
    startRelay(us, { eu: linkTo(near) }, { holdOff: 1 });
    const users = us.getCache('users');
    const gap = vi.fn();
    us.events.on('relayGap', gap);
    await vi.waitFor(() => expect(gap).toHaveBeenCalled());
    await users.set('a', 'old', { tags: ['t'] });
    await eu.getCache('users').invalidateTags('t');
    await vi.waitFor(async () => expect(await users.get('a')).toBeUndefined());
    for (const [cache, server] of [[eu, near] as const, [us, far] as const]) {
      await vi.waitFor(async () => expect(await cache.healthCheck()).toMatchObject({ status: 'up' }));
      expect(await server.command('ACL', 'LOG')).toEqual([]);
    }
  });
});

async function fill({ users, others }: Region): Promise<void> {
  for (const key of KEYS) {
    await users.set(key, 'old', { tags: key === 'tagged' ? ['tag {1}%'] : [] });
    await untilLocal(others, key);
  }
}

function absent(count: number): undefined[] {
  return Array.from({ length: count }, () => undefined);
}
