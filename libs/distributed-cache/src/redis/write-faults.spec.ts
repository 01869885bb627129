import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { freePort } from '../../../../test/support/free-port.js';
import { RedisServer } from '../../../../test/support/redis-server.js';
import { ownRedis, proxyTo } from '../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions } from '../config/index.js';
import type { AsyncCache, DistributedCache } from '../core/index.js';

const OLD = { text: 'old' };
const NEW = { text: 'new' };

async function cacheOnOwnRedis(
  args: readonly string[] = [],
  options: DistributedCacheOptions = {},
): Promise<{
  server: RedisServer;
  all: DistributedCache;
  cache: AsyncCache;
  /** Another process over the same Redis. */
  other: AsyncCache;
  /** The states that were emitted, and the replies that a call survived. */
  states: string[];
  replies: string[];
}> {
  const server = await ownRedis({ args });
  const all = cacheForTest({ redis: { url: server.url }, ...options });
  const [states, replies]: string[][] = [[], []];
  all.events.on('redisConnected', () => states!.push('connected'));
  all.events.on('redisConnectionFailed', ({ reason }) => states!.push(reason));
  all.events.on('tierError', ({ error }) => replies!.push((error as { reply?: string }).reply ?? error.name));
  await all.connect();
  const other = cacheForTest({ redis: { url: server.url } }).getCache('users');
  return { server, all, cache: all.getCache('users'), other, states: states!, replies: replies! };
}

describe('a Redis that is out of memory', () => {
  it('refuses only writes: its process keeps the new value, all others lose the old one, reads continue', async () => {
    const { server, all, cache, other, states, replies } = await cacheOnOwnRedis();
    await cache.set('kept', OLD);
    await cache.set('changed', OLD);
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    expect(await cache.set('changed', NEW)).toBe(false);
    expect(await cache.get('changed')).toEqual(NEW);
    expect(await cache.getOrSet('loaded', async () => NEW)).toEqual(NEW);
    expect(await other.get('kept')).toEqual(OLD);
    // A full Redis accepts deletions, so the other processes don't read the replaced value.
    await vi.waitFor(async () => expect(await other.get('changed')).toBeUndefined());
    expect(await cache.delete('kept')).toBe(true);
    await vi.waitFor(async () => expect(await other.get('kept')).toBeUndefined());
    expect(await all.healthCheck()).toMatchObject({ redisConnected: true });
    expect(states).toEqual(['connected']);
    expect(new Set(replies)).toEqual(new Set(['OOM']));

    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    expect(await cache.set('changed', NEW)).toBe(true);
    expect(await other.get('changed')).toEqual(NEW);
  });
});

describe('a Redis that has become a replica', () => {
  it('refuses writes, answers reads, and accepts writes again once it is a master', async () => {
    const { server, cache, other, replies } = await cacheOnOwnRedis();
    await cache.set('kept', OLD);
    await other.get('none'); // it is connected: a process that begins now looks for the master first
    await server.command('REPLICAOF', server.host, await freePort());
    expect(await cache.set('changed', NEW)).toBe(false);
    expect(await cache.get('changed')).toEqual(NEW);
    expect(await other.get('kept')).toEqual(OLD);
    for (let round = 0; round < 50; round++) {
      expect(await cache.getOrSet(`key:${round}`, async () => round)).toBe(round);
    }
    // The client looks for a new master: a new connection, during which the sent commands are released.
    expect(replies).toContain('READONLY');
    expect(replies.filter((reply) => !/^(READONLY|TierUnavailableError)$/.test(reply))).toEqual([]);
    await server.command('REPLICAOF', 'NO', 'ONE');
    await vi.waitFor(async () => expect(await cache.set('changed', NEW)).toBe(true), { timeout: 5000, interval: 20 });
    await vi.waitFor(async () => expect(await other.get('changed')).toEqual(NEW));
  });

  it('keeps its connections and the entries of L1 for as long as it remains one, and is left for a master', async () => {
    const [server, master] = await Promise.all([ownRedis(), ownRedis()]);
    const proxy = await proxyTo(server);
    const all = cacheForTest({ redis: { host: proxy.host, port: proxy.port } });
    const cache = all.getCache('users');
    const outage = vi.fn();
    all.events.on('redisConnectionFailed', outage);
    await vi.waitFor(async () => {
      await cache.set('kept', OLD);
      expect(await cache.lookup('kept')).toMatchObject({ tier: 'local' });
    });
    await server.command('REPLICAOF', server.host, await freePort());
    const nowMs = performance.now.bind(performance);
    let aheadMs = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs() + aheadMs);
    const changeAndLook = async (key: string): Promise<void> => {
      const { opened } = proxy;
      aheadMs += 60_000; // the pause before it looks for a master again is over
      expect(await cache.set(key, NEW)).toBe(false);
      await vi.waitFor(() => expect(proxy.opened).toBeGreaterThan(opened));
    };
    for (const key of ['a', 'b', 'c']) {
      await changeAndLook(key);
      expect(await cache.lookup('kept')).toMatchObject({ tier: 'local', value: OLD });
      const health = await all.healthCheck();
      expect(health).toMatchObject({ status: 'degraded', redis: { invalidation: 'live' } });
      expect(health.message).toContain('(READONLY): nothing is stored in Redis');
    }
    expect(outage).not.toHaveBeenCalled();
    proxy.redirect(master.port);
    await changeAndLook('d');
    await vi.waitFor(async () => expect(await cache.set('e', NEW)).toBe(true));
    expect(outage).toHaveBeenCalledWith(expect.objectContaining({ reason: 'READONLY' }));
    expect(await master.command('EXISTS', 'cache:users:e')).toBe(1);
  });

  it('is healthy once it is a master again, without any write, and keeps its connection until then', async () => {
    const { server, all, cache, states } = await cacheOnOwnRedis([], { heartbeatMs: 100 });
    await server.command('REPLICAOF', server.host, await freePort());
    await vi.waitFor(async () => {
      expect(await cache.set('key', NEW)).toBe(false);
      const message = expect.stringContaining('(READONLY): nothing is stored in Redis') as unknown;
      expect(await all.healthCheck()).toMatchObject({ status: 'degraded', redisConnected: true, message });
    });
    const changes = states.length;
    const refusals = async (): Promise<number> =>
      Number(/errorstat_READONLY:count=(\d+)/.exec(String(await server.command('INFO', 'errorstats')))?.[1]);
    const before = await refusals();
    await vi.waitFor(async () => expect(await refusals()).toBeGreaterThan(before + 20)); // several checks of the rights
    expect(states.length).toBe(changes);
    await server.command('REPLICAOF', 'NO', 'ONE');
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'up' }));
  });

  it('deletes, once it is a master, the keys that were deleted meanwhile', async () => {
    const { server, cache, other } = await cacheOnOwnRedis();
    await cache.set('key', OLD);
    await server.command('REPLICAOF', server.host, await freePort());
    await cache.delete('key');
    expect(await cache.get('key')).toBeUndefined();
    await server.command('REPLICAOF', 'NO', 'ONE');
    await vi.waitFor(async () => expect(await other.get('key')).toBeUndefined(), { timeout: 5000, interval: 20 });
  });
});

/** States in which a server keeps its connections, and answers every command on a key with the same error. */
const SERVING_NOTHING: readonly (readonly [
  what: string,
  reply: string,
  args: readonly string[],
  begin: (server: RedisServer) => Promise<unknown>,
  end: (server: RedisServer) => Promise<unknown>,
])[] = [
  [
    'runs a script without end',
    'BUSY',
    ['--lua-time-limit', '50'],
    async (server) => void server.command('EVAL', 'while true do end', 0).catch(() => {}),
    (server) => server.command('SCRIPT', 'KILL'),
  ],
  [
    'loads its data',
    'LOADING',
    ['--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024'],
    async (server) => {
      await server.command('DEBUG', 'POPULATE', 1000, 'filler', 200);
      await server.command('CONFIG', 'SET', 'key-load-delay', 5000);
      void server.command('DEBUG', 'RELOAD').catch(() => {});
    },
    (server) => server.command('CONFIG', 'SET', 'key-load-delay', 0),
  ],
  [
    'is a replica without its master, and returns no old data',
    'MASTERDOWN',
    ['--replica-serve-stale-data', 'no'],
    async (server) => server.command('REPLICAOF', server.host, await freePort()),
    (server) => server.command('REPLICAOF', 'NO', 'ONE'),
  ],
];

describe('a Redis that answers every command with an error', () => {
  it.each(SERVING_NOTHING)(
    'can not be used while it %s: L1 serves, and the reason is %s',
    async (_what, reply, args, begin, end) => {
      const { server, all, cache, other, states } = await cacheOnOwnRedis(args, { deadlineMs: 5000 });
      await begin(server);
      await vi.waitFor(async () => {
        await cache.set('changed', NEW);
        expect(states).toEqual(['connected', reply]);
      });
      expect(await all.healthCheck()).toMatchObject({
        status: 'degraded',
        redisConnected: false,
        message: `Redis can't be used (${reply}); the local tier serves`,
      });
      const load = vi.fn(async () => NEW);
      await cache.getOrSet('loaded', load);
      expect(await cache.getOrSet('loaded', load)).toEqual(NEW);
      expect(load).toHaveBeenCalledTimes(1);
      await end(server);
      await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'up' }));
      expect(states).toEqual(['connected', reply, 'connected']);
      expect(await cache.set('changed', NEW)).toBe(true);
      await vi.waitFor(async () => expect(await other.get('changed')).toEqual(NEW));
    },
  );
});

describe('a Redis that forbids writes to this user', () => {
  it('answers reads, and every call succeeds', async () => {
    const { server, cache, replies } = await cacheOnOwnRedis();
    await cache.set('kept', OLD);
    await server.command('ACL', 'SETUSER', 'reader', 'on', '>open-sesame', '~*', '&*', '+@all', '-@write');
    const reader = cacheForTest({
      redis: { host: server.host, port: server.port, username: 'reader', password: 'open-sesame' },
    });
    const errors: string[] = [];
    reader.events.on('tierError', ({ error }) => errors.push(JSON.stringify(error) + String(error.stack)));
    const cacheOfReader = reader.getCache('users');
    expect(await cacheOfReader.get('kept')).toEqual(OLD);
    expect(await cacheOfReader.set('other', NEW)).toBe(false);
    expect(await cacheOfReader.getOrSet('loaded', async () => NEW)).toEqual(NEW);
    expect(errors.join()).toContain('NOPERM');
    expect(errors.join()).not.toContain('open-sesame');
    expect(replies).toEqual([]);
  });
});
