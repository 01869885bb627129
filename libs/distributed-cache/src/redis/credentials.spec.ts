import { setTimeout as delay } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { untilInvalidation } from '../../../../test/support/channel-for-test.js';
import { Gate } from '../../../../test/support/gate.js';
import { RedisCluster } from '../../../../test/support/redis-cluster.js';
import { RedisServer } from '../../../../test/support/redis-server.js';
import { ownRedis } from '../../../../test/support/redis-for-test.js';
import type { RedisOption } from '../config/index.js';

/** Gives the user another password, and closes every connection that is logged in with the old one. */
async function rotate(server: RedisServer, password: string): Promise<void> {
  await server.command('ACL', 'SETUSER', 'app', 'on', 'resetpass', `>${password}`, '~*', '&*', '+@all');
  await server.command('CLIENT', 'KILL', 'USER', 'app');
}

/** A client of the application, which does not connect before it is used, and not again. */
function clientWith(options: RedisOptions): Redis {
  const client = new Redis({ ...options, lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

async function serverOf(password: string): Promise<RedisServer> {
  const server = await ownRedis();
  await rotate(server, password);
  return server;
}

describe('a password that is rotated', () => {
  it('is requested before each connection, for data and for messages', async () => {
    const server = await serverOf('first');
    let password = 'first';
    const credentials = vi.fn(async () => ({ username: 'app', password }));
    const all = cacheForTest({ redis: { host: server.host, port: server.port, credentials } });
    const cache = all.getCache('users');
    expect(await cache.set('key', 1)).toBe(true);
    await untilInvalidation(all, 'live');
    password = 'second';
    await rotate(server, password);
    await vi.waitFor(async () => expect(await cache.set('key', 2)).toBe(true), { timeout: 5000 });
    await untilInvalidation(all, 'live');
    expect(credentials.mock.calls.length).toBeGreaterThanOrEqual(3);
  });

  it.each<[what: string, redisOf: (server: RedisServer) => RedisOption]>([
    ['a password', ({ host, port }) => ({ host, port, username: 'app', password: 'first' })],
    [
      'a client that is handed in',
      ({ host, port }) => ({ client: clientWith({ host, port, username: 'app', password: 'first' }) }),
    ],
    ['a function', ({ host, port }) => ({ host, port, credentials: () => ({ username: 'app', password: 'first' }) })],
  ])('is tried again a few times a second while it is wrong, from %s', async (_what, redisOf) => {
    const server = await serverOf('first');
    const all = cacheForTest({ redis: redisOf(server) });
    await all.connect();
    await untilInvalidation(all, 'live');
    await rotate(server, 'second');
    const message = "Redis can't be used (WRONGPASS); the local tier serves";
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ message }));
    const refusals = async (): Promise<number> =>
      Number(/errorstat_WRONGPASS:count=(\d+)/.exec(String(await server.command('INFO', 'errorstats')))?.[1]);
    const before = await refusals();
    await delay(1000);
    expect((await refusals()) - before).toBeLessThan(15);
    await rotate(server, 'first');
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'up' }));
    await untilInvalidation(all, 'live');
  });

  it('may fail to arrive: the last password is used, and no caller gets an error', async () => {
    const server = await serverOf('first');
    let isBroken = false;
    const credentials = vi.fn(() => {
      if (isBroken) {
        throw new Error('the vault is sealed');
      }
      return { username: 'app', password: 'first' };
    });
    const all = cacheForTest({ redis: { host: server.host, port: server.port, credentials } });
    await all.connect();
    await untilInvalidation(all, 'live');
    isBroken = true;
    await server.command('CLIENT', 'KILL', 'USER', 'app');
    await vi.waitFor(async () => expect(await all.getCache('users').set('key', 1)).toBe(true), { timeout: 5000 });
    await untilInvalidation(all, 'live');
  });

  it('does not keep a cache from closing while it waits for a password', async () => {
    const server = await serverOf('first');
    const [asked, answer] = [new Gate(), new Gate()];
    const credentials = async () => {
      asked.open();
      await answer.opened;
      return { username: 'app', password: 'first' };
    };
    const all = cacheForTest({ redis: { host: server.host, port: server.port, credentials } });
    void all.connect();
    await asked.opened;
    await all.close();
    answer.open();
    await answer.opened;
    expect(await server.command('CLIENT', 'LIST')).not.toContain('user=app');
  });

  it('is taken from the options of a client that is handed in', async () => {
    const server = await serverOf('first');
    const client = clientWith({ host: server.host, port: server.port, username: 'app', password: 'first' });
    const all = cacheForTest({ redis: { client } });
    await all.connect();
    await untilInvalidation(all, 'live');
    client.options.password = 'second';
    await rotate(server, 'second');
    await vi.waitFor(async () => expect(await all.getCache('users').set('key', 1)).toBe(true), { timeout: 5000 });
    await untilInvalidation(all, 'live');
  });

  it('is requested by each node of a cluster', async () => {
    const cluster = await RedisCluster.start();
    onTestFinished(() => cluster.stop());
    let password = 'first';
    const rotateAll = () => Promise.all(cluster.nodes.map((node) => rotate(node, password)));
    await rotateAll();
    const credentials = async () => ({ username: 'app', password });
    const all = cacheForTest({ redis: { cluster: { nodes: cluster.addresses, options: { credentials } } } });
    const cache = all.getCache('users');
    const keys = Array.from({ length: 20 }, (_, index) => `key${index}`);
    const setAll = async (): Promise<void> =>
      expect(await Promise.all(keys.map((key) => cache.set(key, 1)))).toEqual(keys.map(() => true));
    await vi.waitFor(setAll, { timeout: 5000 });
    await untilInvalidation(all, 'live');
    password = 'second';
    await rotateAll();
    await vi.waitFor(setAll, { timeout: 10_000 });
    await untilInvalidation(all, 'live');
  });
});
