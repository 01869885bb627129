import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { cacheForTest } from '../support/cache-for-test.js';
import { ownRedis, proxyTo } from '../support/redis-for-test.js';
import { podAt, untilUp } from '../races/pods.js';

describe('a database that can not be selected', () => {
  it.each<[string, number, readonly string[]]>([
    ['the server has no such database', 99, []],
    ['the user may not SELECT', 3, ['ACL', 'SETUSER', 'default', '-select']],
  ])('is an outage whose reason names it, and the cache writes nothing: %s', async (_why, db, [name, ...args]) => {
    const server = await ownRedis();
    if (name !== undefined) {
      await server.command(name, ...args);
    }
    const all = cacheForTest({ redis: { host: server.host, port: server.port, db } });
    const reasons: string[] = [];
    all.events.on('redisConnectionFailed', ({ reason }) => reasons.push(reason));
    await all.connect();
    const cache = all.getCache('users');
    expect(await cache.getOrSet('key', async () => 'loaded')).toBe('loaded');
    await cache.set('other', 1);
    expect(reasons[0]).toContain(`db ${db}`);
    const health = await all.healthCheck();
    expect(health).toMatchObject({ status: 'degraded', redisConnected: false });
    expect(health.message).toContain(`db ${db}`);
    expect(await server.command('DBSIZE')).toBe(0);
  });
});

describe('a server that has restarted', () => {
  it('keeps the connections of other clients that have the id of a former connection of the cache', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const pod = await podAt(proxy.port);
    await untilUp(pod);
    for (let round = 0; round < 3; round++) {
      await proxy.refuseNew(true);
      await server.restart();
      const others = Array.from({ length: 40 }, () => new Redis({ port: server.port, retryStrategy: () => null }));
      const ended: string[] = [];
      await Promise.all(others.map((client) => client.ping()));
      others.forEach((client) => client.on('close', () => ended.push('close')));
      await proxy.refuseNew(false);
      await untilUp(pod);
      expect(await Promise.all(others.map((client) => client.ping()))).toEqual(others.map(() => 'PONG'));
      expect(ended).toEqual([]);
      others.forEach((client) => client.disconnect());
    }
  });
});
