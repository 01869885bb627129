import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { channelOf, untilInvalidation, type ChannelEnds } from '../../../../test/support/channel-for-test.js';
import { RedisServer } from '../../../../test/support/redis-server.js';
import { ownRedis, proxyTo } from '../../../../test/support/redis-for-test.js';
import type { DistributedCache } from '../core/index.js';

function at({ port }: { port: number }): { redis: { host: string; port: number } } {
  return { redis: { host: '127.0.0.1', port } };
}

/** An address at which the n-th connection reaches a port that depends on what it sends first. */
async function junction(
  portOf: (index: number, first: string) => number,
): Promise<{ port: number; openedAtMs: number[] }> {
  const openedAtMs: number[] = [];
  const server = createServer((client) => {
    const index = openedAtMs.push(performance.now()) - 1;
    client.on('error', () => {});
    client.once('data', (first) => {
      const upstream = createConnection({ host: '127.0.0.1', port: portOf(index, String(first)) });
      upstream.on('error', () => {});
      for (const socket of [client, upstream]) {
        socket.on('close', () => [client, upstream].forEach((each) => each.destroy()));
      }
      upstream.write(first);
      client.pipe(upstream).pipe(client);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, openedAtMs };
}

async function subscriptionsOf(server: RedisServer): Promise<string> {
  return String(await server.command('CLIENT', 'LIST', 'TYPE', 'pubsub'));
}

describe('the invalidation channel', () => {
  it('is live, and stays live, where a round trip takes 250 ms', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    proxy.delay(125);
    // More than the default deadline: a busy machine adds to the round trip.
    const all = cacheForTest({ ...at(proxy), deadlineMs: 600 });
    await all.connect();
    await untilInvalidation(all, 'live');
    const { opened } = proxy;
    const states: string[] = [];
    all.events.on('invalidationOff', () => states.push('off'));
    const calls = async (): Promise<number> =>
      Number(/cmdstat_publish:calls=(\d+)/.exec(String(await server.command('INFO', 'commandstats')))?.[1] ?? 0);
    const before = await calls();
    await vi.waitFor(async () => expect(await calls()).toBeGreaterThan(before + 3), { timeout: 15_000 });
    expect(states).toEqual([]);
    expect(proxy.opened).toBe(opened);
  });

  it('is not live while its two connections reach different servers, and tries again with growing delays', async () => {
    const [one, other] = [await ownRedis(), await ownRedis()];
    await other.command('ACL', 'SETUSER', 'x', 'on'); // the ids differ, whether both exist or not
    let isSplit = true;
    const address = await junction((_, first) => (isSplit && /subscribe/i.test(first) ? other.port : one.port));
    const all = cacheForTest(at(address));
    await all.connect();
    const { openedAtMs } = address;
    await vi.waitFor(() => expect(openedAtMs.length).toBeGreaterThan(8), { timeout: 15_000 });
    const gaps = openedAtMs.slice(2).map((openedAt, index) => openedAt - (openedAtMs[index + 1] ?? 0));
    expect(Math.max(...gaps.slice(-2))).toBeGreaterThan(400);
    await vi.waitFor(async () =>
      expect((await all.healthCheck()).toJSON()).toMatchObject({
        status: 'degraded',
        invalidation: 'lost',
        message: 'invalidation is off: the data connection and the subscriber are at different servers',
      }),
    );
    isSplit = false;
    expect((await untilInvalidation(all, 'live')).status).toBe('up');
  });

  it('moves both connections when only new ones reach the new server, in a process that only reads', async () => {
    const [former, present] = [await ownRedis(), await ownRedis()];
    const address = await junction((index) => (index === 0 ? former.port : present.port));
    const all = cacheForTest(at(address));
    await all.connect();
    expect((await untilInvalidation(all, 'live')).status).toBe('up');
    expect(await former.command('CLIENT', 'LIST')).not.toMatch(/cmd=time/);
    const writer = cacheForTest(at(present));
    await writer.getCache('users').set('key', 'value');
    expect(await all.getCache('users').get('key')).toBe('value');
  });

  it('asks the subscriber once for its id, although the data connection is lost before the answer', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const all = cacheForTest(at(proxy));
    let isCut = false;
    proxy.filter((link, lane, chunk) => {
      if (link === 1 && lane === 'up' && !isCut) {
        isCut = true;
        proxy.stall('down', { onlyExisting: true });
        channelOf(all).source.stream.destroy();
      }
      return chunk;
    });
    const connecting = all.connect();
    await vi.waitFor(() => expect(proxy.opened).toBe(3));
    await vi.waitFor(() => expect(channelOf(all).source.status).toBe('ready'));
    proxy.resume();
    await connecting;
    await untilInvalidation(all, 'live');
    const stats = String(await server.command('INFO', 'commandstats'));
    expect(/client\|id:.*/.exec(stats)?.[0]).toMatch(/rejected_calls=0,failed_calls=0/);
  });

  const LOSSES: readonly (readonly [
    what: string,
    loseTracking: (ends: ChannelEnds, otherId: number) => Promise<unknown>,
  ])[] = [
    ['tracking is off', ({ source }) => source.client('TRACKING', 'OFF')],
    ['the subscription is gone', ({ subscriber }) => subscriber.unsubscribe('__redis__:invalidate')],
    [
      'changes are sent to another client',
      async ({ source }, otherId) => {
        await source.client('TRACKING', 'OFF');
        await source.client('TRACKING', 'ON', 'REDIRECT', otherId, 'BCAST', 'PREFIX', 'cache:');
      },
    ],
  ];

  it.each(LOSSES)(
    'detects at a heartbeat that tracking is lost on open connections: %s',
    async (_what, loseTracking) => {
      const server = await ownRedis();
      const [all, writer] = [cacheForTest(at(server)), cacheForTest(at(server))];
      const cache = all.getCache('users');
      await writer.getCache('users').set('key', 'old');
      await untilInvalidation(all, 'live');
      await untilInvalidation(writer, 'live');
      await vi.waitFor(async () => expect(await cache.lookup('key')).toMatchObject({ tier: 'local' }));
      const { subscriber } = channelOf(writer);
      const otherId = Number(/^id=(\d+)/m.exec(await subscriptionsOf(server))?.[1]);
      expect(subscriber.status).toBe('ready');
      await loseTracking(channelOf(all), otherId);
      await writer.getCache('users').set('key', 'new');
      await vi.waitFor(async () => expect(await cache.get('key')).toBe('new'), { timeout: 5000 });
      await untilInvalidation(all, 'live');
    },
  );

  it('detects a path that carries replies and no messages', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const all = cacheForTest(at(proxy));
    await all.connect();
    await untilInvalidation(all, 'live');
    proxy.filter((_link, lane, chunk) =>
      lane === 'down' && /\$7\r\nmessage\r\n/.test(chunk.toString('latin1')) ? Buffer.alloc(0) : chunk,
    );
    await vi.waitFor(
      async () =>
        expect((await all.healthCheck()).toJSON()).toMatchObject({
          status: 'degraded',
          invalidation: 'lost',
          message: 'invalidation is off: messages of the data connection do not reach the subscriber',
        }),
      { timeout: 5000, interval: 10 },
    );
    proxy.filter(undefined);
    expect((await untilInvalidation(all, 'live')).message).toBeUndefined();
  });

  it.each([
    ['-client|tracking', '&*', 'announced', 'CLIENT TRACKING refused (NOPERM)'],
    ['-client|id', '&*', 'announced', 'CLIENT ID refused (NOPERM)'],
    ['-client', '&*', 'announced', 'CLIENT ID refused (NOPERM)'],
    ['-ping', '&cache:*', 'announced', 'SUBSCRIBE refused (NOPERM)'],
    ['-subscribe', '&*', 'none', 'SUBSCRIBE refused (NOPERM)'],
    ['-publish', '&*', 'none', 'PUBLISH refused (NOPERM)'],
    ['-ping', 'resetchannels', 'none', 'SUBSCRIBE refused (NOPERM)'],
    ['-client|getredir', '&*', 'live', undefined],
  ])('handles a user with %s and channels %s: %s (%s), on two connections', async (rule, channels, state, cause) => {
    const server = await ownRedis();
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', channels, '+@all', rule);
    const proxy = await proxyTo(server);
    const all = cacheForTest({ redis: { ...at(proxy).redis, username: 'app', password: 'secret' } });
    await all.connect();
    const health = await untilInvalidation(all, state);
    expect(health.status).toBe(state === 'none' ? 'degraded' : 'up');
    expect(health.message ?? '').toContain(cause ?? '');
    const cache = all.getCache('users');
    await cache.set('key', 'value');
    const tier = state === 'none' ? 'redis' : 'local';
    await vi.waitFor(async () => expect(await cache.lookup('key')).toMatchObject({ tier, value: 'value' }));
    expect(proxy.opened).toBe(2);
  });

  it('treats any error as a refusal, and tracks once the server permits it', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    proxy.filter((link, lane, chunk) => {
      const text = chunk.toString('latin1');
      return link === 0 && lane === 'down' && text.startsWith('+OK\r\n+OK\r\n:')
        ? Buffer.from(text.replace('+OK\r\n+OK\r\n:', '+OK\r\n-SORRY not here\r\n:'), 'latin1')
        : chunk;
    });
    const all = cacheForTest(at(proxy));
    await all.connect();
    expect((await untilInvalidation(all, 'announced')).message).toBe(
      'only changes that other processes announce are received: CLIENT TRACKING refused (SORRY)',
    );
    proxy.filter(undefined);
    expect((await untilInvalidation(all, 'live')).message).toBeUndefined();
    expect(proxy.opened).toBe(2);
  });

  it('receives changes also where the server names them after another channel, as Redict 7.3 does', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    proxy.filter((_link, lane, chunk) =>
      lane === 'down'
        ? Buffer.from(
            chunk
              .toString('latin1')
              .replaceAll(/(\$7\r\nmessage\r\n\$20\r\n)__redis__:invalidate/g, '$1__redict__:invalidat'),
            'latin1',
          )
        : chunk,
    );
    const [all, writer] = [cacheForTest(at(proxy)), cacheForTest(at(server))];
    const cache = all.getCache('users');
    await writer.getCache('users').set('key', 'old');
    await untilInvalidation(all, 'live');
    await vi.waitFor(async () => expect(await cache.lookup('key')).toMatchObject({ tier: 'local' }));
    await writer.getCache('users').set('key', 'new');
    await vi.waitFor(async () => expect(await cache.get('key')).toBe('new'), { timeout: 5000 });
    await server.command('FLUSHALL');
    await vi.waitFor(async () => expect(await cache.get('key')).toBeUndefined(), { timeout: 5000 });
  });

  it('counts a server that accepts CLIENT TRACKING and reports nothing as one that can not track', async () => {
    const server = await ownRedis();
    const proxies = [await proxyTo(server), await proxyTo(server)];
    const reports = /\*3\r\n\$7\r\nmessage\r\n\$20\r\n__redis__:invalidate\r\n\*\d+\r\n(\$\d+\r\n[^\r]*\r\n)+/g;
    for (const proxy of proxies) {
      proxy.filter((_link, lane, chunk) =>
        lane === 'down' ? Buffer.from(chunk.toString('latin1').replaceAll(reports, ''), 'latin1') : chunk,
      );
    }
    const [all, writer] = proxies.map((proxy) => cacheForTest(at(proxy))) as [DistributedCache, DistributedCache];
    await Promise.all([all.connect(), writer.connect()]);
    expect((await untilInvalidation(all, 'announced')).message).toBe(
      'only changes that other processes announce are received: CLIENT TRACKING has no effect',
    );
    await untilInvalidation(writer, 'announced');
    const cache = all.getCache('users');
    await writer.getCache('users').set('key', 'old');
    await vi.waitFor(async () => expect(await cache.lookup('key')).toMatchObject({ value: 'old', tier: 'local' }));
    await writer.getCache('users').set('key', 'new');
    await vi.waitFor(async () => expect(await cache.get('key')).toBe('new'));
  });

  it('leaves no key behind', async () => {
    const server = await ownRedis();
    const all = cacheForTest(at(server));
    await all.connect();
    await untilInvalidation(all, 'live');
    expect(await server.command('DBSIZE')).toBe(0);
  });
});
