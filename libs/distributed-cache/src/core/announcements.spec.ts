import { describe, expect, it, vi } from 'vitest';
import { cacheForTest, untilLocal } from '../../../../test/support/cache-for-test.js';
import { RedisServer } from '../../../../test/support/redis-server.js';
import { ownRedis, proxyTo } from '../../../../test/support/redis-for-test.js';

/** A server on which the user of the cache may not use tracking; @param channels which channels it may use */
async function serverWithoutTracking(channels = '&*'): Promise<RedisServer> {
  const server = await ownRedis();
  await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', channels, '+@all', '-client|tracking');
  return server;
}

function redisAt(port: number): { host: string; port: number; username: string; password: string } {
  return { host: '127.0.0.1', port, username: 'app', password: 'secret' };
}

describe('a server that refuses tracking', () => {
  it('the cache keeps entries for a few seconds at most while processes announce their changes', async () => {
    const server = await serverWithoutTracking();
    const pod = cacheForTest({ redis: redisAt(server.port) });
    const cache = pod.getCache('users');
    await pod.connect();
    expect((await pod.healthCheck()).toJSON()).toMatchObject({ status: 'up', invalidation: 'announced' });
    await cache.set('key', 'value', '24h');
    const found = await cache.lookup('key');
    expect(found).toMatchObject({ tier: 'local', value: 'value' });
    expect(found.state === 'miss' ? 0 : found.ttlMs).toBeLessThanOrEqual(5000);
  });

  it('a process without announcements does not use L1: each change of another process is seen at once', async () => {
    const server = await serverWithoutTracking('resetchannels');
    const [pod, other] = [cacheForTest({ redis: redisAt(server.port) }), cacheForTest({ redis: redisAt(server.port) })];
    const cache = pod.getCache('users');
    await Promise.all([pod.connect(), other.connect()]);
    expect((await pod.healthCheck()).toJSON()).toMatchObject({ status: 'degraded', invalidation: 'none' });
    await cache.set('key', 'old');
    expect(await cache.lookup('key')).toMatchObject({ tier: 'redis', value: 'old' });
    await other.getCache('users').set('key', 'new');
    expect(await cache.get('key')).toBe('new');
    await other.getCache('users').delete('key');
    expect(await cache.get('key')).toBeUndefined();
  });

  it('a deletion from an outage is announced when it is replayed', async () => {
    const server = await serverWithoutTracking();
    const proxy = await proxyTo(server);
    const [podA, podB] = [cacheForTest({ redis: redisAt(proxy.port) }), cacheForTest({ redis: redisAt(server.port) })];
    const [cache, other] = [podA.getCache('users'), podB.getCache('users')];
    await podB.connect();
    await cache.set('key', 'old');
    await proxy.refuseNew(true);
    proxy.cut();
    await vi.waitFor(async () => expect(await podA.healthCheck()).toMatchObject({ status: 'degraded' }));
    await cache.delete('key');
    await untilLocal(other, 'key');
    await proxy.refuseNew(false);
    await vi.waitFor(async () => expect(await other.get('key')).toBeUndefined(), { timeout: 4000, interval: 5 });
  });

  it('a process that has lost its subscription uses no entry of L1 until the subscription is back', async () => {
    const server = await serverWithoutTracking();
    const redis = redisAt(server.port);
    const pod = cacheForTest({ redis });
    const cache = pod.getCache('users');
    const states: string[] = [];
    pod.events.on('invalidationOff', () => states.push('off'));
    pod.events.on('invalidationOn', () => states.push('on'));
    await cache.set('key', 'old');
    await untilLocal(cache, 'key');
    await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await vi.waitFor(() => expect(states).toEqual(['off', 'on']), { timeout: 3000, interval: 2 });
    expect(await cache.lookup('key')).toMatchObject({ tier: 'redis', value: 'old' });
  });
});
