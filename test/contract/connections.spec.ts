import { Redis as Redis6 } from 'ioredis6';
import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { DistributedCacheOptions } from 'nestjs-distributed-cache/core';
import { cacheForTest } from '../support/cache-for-test.js';
import { ownRedis, podAt, podWith, proxyTo, sharedRedis, untilUp, warm } from '../races/pods.js';

describe('a database that can not be selected', () => {
  it.each<[string, number, readonly string[]]>([
    ['the server has no such database', 99, []],
    ['the user may not SELECT', 3, ['ACL', 'SETUSER', 'default', '-select']],
  ])('is an outage that names it, and nothing is written anywhere: %s', async (_why, db, [name, ...args]) => {
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

describe('a client of ioredis 6 that was handed in', () => {
  it('stores, reads, deletes, shares loads and hears of changes', async () => {
    const options = sharedRedis();
    const { url = '' } = options.redis as { url?: string };
    const client = new Redis6(url, { autoResendUnfulfilledCommands: false });
    onTestFinished(() => client.disconnect());
    const given = { ...options, redis: { client } } as unknown as DistributedCacheOptions;
    const [podA, podB] = await Promise.all([podWith(given), podWith(options)]);
    expect(await podA.cache.set('key', { n: 1 })).toBe(true);
    expect(await podB.cache.get('key')).toEqual({ n: 1 });
    await warm(podA);
    await podB.cache.set('key', { n: 2 });
    await vi.waitFor(async () => expect(await podA.cache.get('key')).toEqual({ n: 2 }));
    expect(await podA.cache.getOrSet('loaded', async () => 'value')).toBe('value');
    expect(await podB.cache.getOrSet('loaded', async () => 'not asked')).toBe('value');
    expect(await podA.cache.delete('key')).toBe(true);
    expect(await podB.cache.get('key')).toBeUndefined();
    expect(await podA.all.healthCheck()).toMatchObject({ status: 'up', redis: { invalidation: 'live' } });
  });
});

describe('a server that has restarted', () => {
  it('loses no connection of other clients that have the id of our former one', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const pod = await podAt(proxy.port);
    await untilUp(pod);
    for (let round = 0; round < 3; round++) {
      await proxy.refuseNew(true);
      await server.restart();
      const foreign = Array.from({ length: 40 }, () => new Redis({ port: server.port, retryStrategy: () => null }));
      const ended: string[] = [];
      await Promise.all(foreign.map((client) => client.ping()));
      foreign.forEach((client) => client.on('close', () => ended.push('close')));
      await proxy.refuseNew(false);
      await untilUp(pod);
      expect(await Promise.all(foreign.map((client) => client.ping()))).toEqual(foreign.map(() => 'PONG'));
      expect(ended).toEqual([]);
      foreign.forEach((client) => client.disconnect());
    }
  });
});
