import { describe, expect, it, vi } from 'vitest';
import { FakeClock } from '../../libs/distributed-cache/src/testing/fake-clock.js';
import type { RedisServer } from '../support/redis-server.js';
import { ownRedis, proxyTo, sharedRedis } from '../support/redis-for-test.js';
import { receivedAll, holdsCopy, podAt, podWith, podWithSplitLinks, untilUp, warm, type Pod } from './pods.js';

const HOUR_MS = 3_600_000;

/** L1 of the process keeps entries again, and drops one that another client deletes. */
async function tracksAgain(pod: Pod, server: RedisServer): Promise<void> {
  await vi.waitFor(async () => expect(await pod.cache.set('again', 1)).toBe(true));
  await warm(pod, 'again');
  await server.command('DEL', 'cache:users:again');
  await vi.waitFor(async () => expect(await pod.cache.get('again')).toBeUndefined());
}

describe('a process that misses changes', () => {
  it.each(['RST', 'half-open'])('race 4: uses no older entry of L1 after a lost connection (%s)', async (how) => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const pod = await podAt(proxy.port);
    const writer = await podAt(server.port);
    await writer.cache.set('key', 'old');
    await warm(pod);
    if (how === 'RST') {
      await proxy.refuseNew(true);
      proxy.cut();
    } else {
      proxy.stall('both', { onlyExisting: true });
    }
    await writer.cache.set('key', 'new');
    await proxy.refuseNew(false);
    expect(await pod.cache.getOrSet('other', async () => 'loaded')).toBe('loaded'); // although Redis may not answer
    await vi.waitFor(async () => expect(await pod.cache.get('key')).toBe('new'), { timeout: 10_000 });
    await untilUp(pod);
    expect(await pod.cache.get('key')).toBe('new');
    await tracksAgain(pod, server);
  });

  it.each(['pubsub', 'normal'])('race 4: uses no older entry of L1 after its %s connection is killed', async (type) => {
    const server = await ownRedis();
    const [pod, writer] = [await podAt(server.port), await podAt(server.port)];
    await writer.cache.set('key', 'old');
    await warm(pod);
    await server.command('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
    await server.command('DEL', 'cache:users:key');
    await vi.waitFor(async () => expect(await pod.cache.get('key')).toBeUndefined());
    await vi.waitFor(async () => expect(await writer.cache.set('key', 'new')).toBe(true));
    await vi.waitFor(async () => expect(await pod.cache.get('key')).toBe('new'));
    await tracksAgain(pod, server);
  });

  it('race 4: receives the announcement of each change where the server can not report changes', async () => {
    const server = await ownRedis();
    await server.command('ACL', 'SETUSER', 'untracked', 'on', '>secret', '~*', '&*', '+@all', '-client|tracking');
    const redis = { host: '127.0.0.1', port: server.port, username: 'untracked', password: 'secret' };
    const namespaces = { users: { grace: '1h' } } as const;
    const [writer, pod] = [await podWith({ redis, namespaces }), await podWith({ redis, namespaces })];
    const { cache } = writer;
    const changes: [change: () => Promise<unknown>, expected: string | undefined][] = [
      [() => cache.set('key', 'set'), 'set'],
      [() => cache.set('key', 'set again'), 'set again'],
      [() => cache.delete('key'), undefined],
      [() => cache.getOrSet('key', async () => 'loaded', { tags: ['team'] }), 'loaded'],
      [() => cache.invalidateTags('team'), undefined],
      [() => cache.set('key', 'again'), 'again'],
      [() => cache.clear(), undefined],
      [() => cache.set('key', 'stale'), 'stale'],
      [() => cache.expire('key'), undefined],
    ];
    for (const [change, expected] of changes) {
      await change();
      // Sooner than the entries of L1 expire there (5 s).
      await vi.waitFor(async () => expect(await pod.cache.get('key')).toBe(expected), { timeout: 2000, interval: 2 });
      if (expected !== undefined) {
        await warm(writer);
        await warm(pod);
      }
    }
  });

  it('race 4: keeps nothing in L1 that it read while its channel was lost', async () => {
    const server = await ownRedis();
    const [pod, writer] = [await podAt(server.port), await podAt(server.port)];
    const changes: string[] = [];
    pod.all.events.on('invalidationOff', () => changes.push('off'));
    pod.all.events.on('invalidationOn', () => changes.push('on'));
    await writer.cache.set('key', 'old');
    await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await vi.waitFor(() => expect(changes).toContain('off'));
    await pod.cache.get('key');
    await writer.cache.set('key', 'new');
    await vi.waitFor(() => expect(changes.at(-1)).toBe('on'));
    await vi.waitFor(async () => expect(await pod.cache.get('key')).toBe('new'));
  });

  it('race 4: reads Redis while its channel is lost, and drops the older entry of L1 afterwards', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const [pod, writer] = [await podAt(proxy.port), await podAt(server.port)];
    let isTrackingLost = false;
    pod.all.events.on('invalidationOff', () => (isTrackingLost = true));
    pod.all.events.on('invalidationOn', () => (isTrackingLost = false));
    await writer.cache.set('key', 'old');
    await writer.cache.set('unread', 'old');
    await warm(pod);
    await warm(pod, 'unread');
    await proxy.refuseNew(true); // the subscriber does not reconnect
    await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await vi.waitFor(() => expect(isTrackingLost).toBe(true));
    await writer.cache.setMany([
      ['key', 'new'],
      ['unread', 'new'],
    ]);
    expect(await pod.cache.get('key')).toBe('new');
    await proxy.refuseNew(false);
    await vi.waitFor(() => expect(isTrackingLost).toBe(false), { timeout: 5000 });
    expect(await pod.cache.get('unread')).toBe('new');
  });

  it('race 8: drops every entry of L1 when Redis is emptied', async () => {
    const server = await ownRedis();
    const pod = await podAt(server.port, { heartbeatMs: 60_000 }); // no heartbeat looks for missed messages
    await pod.cache.set('key', 'old');
    await warm(pod);
    await server.command('FLUSHALL');
    await vi.waitFor(async () => expect(await pod.cache.get('key')).toBeUndefined());
  });

  it('race 15: keeps no answer in L1 if a message about the key arrived before it', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const pod = await podWithSplitLinks(server, proxy);
    const writer = await podAt(server.port);
    await writer.cache.setMany([
      ['key', 'old'],
      ['marker', 'old'],
    ]);
    await receivedAll(pod, (key) => server.command('DEL', `cache:users:${key}`));
    await warm(pod, 'marker');
    proxy.stall('down');
    const reading = pod.cache.get('key');
    const many = pod.cache.getMany(['key']);
    await vi.waitFor(async () => expect(await server.command('INFO', 'commandstats')).toContain('cmdstat_mget:'));
    await writer.cache.set('key', 'new');
    await writer.cache.delete('marker');
    await vi.waitFor(() => expect(holdsCopy(pod, 'marker')).toBe(false));
    proxy.resume();
    expect(await reading).toBe('old');
    expect(await many).toEqual(['old']);
    expect(await pod.cache.get('key')).toBe('new');
  });
});

describe('clocks and TTLs', () => {
  it.each([HOUR_MS, -HOUR_MS])(
    'race 5: an entry lives equally long in a process whose clock is off by %i ms',
    async (offMs) => {
      const redis = sharedRedis();
      const writer = await podWith(redis);
      const reader = await podWith(redis, { clock: new FakeClock(Date.now() + offMs) });
      await writer.cache.set('key', 'value', '30m');
      const first = await reader.cache.lookup('key');
      await warm(reader);
      for (const found of [first, await reader.cache.lookup('key')]) {
        expect(found).toMatchObject({ state: 'fresh', value: 'value' });
        expect(found.state === 'miss' ? 0 : found.ttlMs).toBeLessThanOrEqual(HOUR_MS / 2 + 1000);
        expect(found.state === 'miss' ? 0 : found.ttlMs).toBeGreaterThan(HOUR_MS / 4);
      }
    },
  );

  it('race 6: L1 keeps an entry no longer than Redis', async () => {
    const redis = sharedRedis();
    const [writer, reader] = [await podWith(redis), await podWith(redis)];
    await writer.cache.set('key', 'value', '5s');
    const leftIn = async (pod: Pod) => {
      const found = await pod.cache.lookup('key');
      return found.state === 'miss' ? 0 : found.ttlMs;
    };
    await vi.waitFor(async () => expect(await leftIn(writer)).toBeLessThan(4900));
    await warm(reader);
    expect(await leftIn(reader)).toBeLessThan(4900);
  });
});
