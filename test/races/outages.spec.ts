import { describe, expect, it, vi } from 'vitest';
import type { AsyncCache } from 'nestjs-distributed-cache/core';
import { cacheForTest } from '../support/cache-for-test.js';
import { ownRedis, proxyTo } from '../support/redis-for-test.js';
import { podAt, untilDown, untilUp } from './pods.js';

/** The connections of clients that the server knows. */
async function clientsOf(server: Awaited<ReturnType<typeof ownRedis>>): Promise<string> {
  return String(await server.command('CLIENT', 'LIST', 'TYPE', 'normal'));
}

describe('writes while Redis is lost', () => {
  it('race 7: a set that arrives late, after a newer one, is kept by no process', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const [late, newer] = [await podAt(proxy.port), await podAt(server.port)];
    await late.cache.set('other', 1);
    proxy.stall('up');
    expect(await late.cache.set('key', 'late')).toBe(false);
    expect(await newer.cache.set('key', 'newest')).toBe(true);
    proxy.resume();
    await untilUp(late);
    for (const { cache } of [late, newer]) {
      await vi.waitFor(async () => expect(await cache.get('key')).not.toBe('late'));
    }
    expect(await late.cache.getOrSet('key', async () => 'newest')).toBe('newest');
    await vi.waitFor(async () => expect(await newer.cache.get('key')).toBe('newest'));
  });

  it('race 7: a set has no effect when its bytes arrive late on a connection that was given up', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const [cutOff, other] = [await podAt(proxy.port), await podAt(server.port)];
    await cutOff.cache.set('other', 1);
    const before = await clientsOf(server);
    proxy.stall('up', { onlyExisting: true });
    expect(await cutOff.cache.set('key', 'late')).toBe(false);
    await untilUp(cutOff);
    await cutOff.cache.delete('key');
    await other.cache.set('key', 'newest');
    proxy.resume(); // the contents of the old socket would be executed now
    // The server has closed the old connection: nothing that is still in it can be executed.
    const oldIds = [...before.matchAll(/^id=(\d+)/gm)].map(([, id]) => id);
    const isGone = (list: string): boolean =>
      oldIds.filter((id) => new RegExp(`^id=${id} `, 'm').test(list)).length < oldIds.length;
    await vi.waitFor(async () => expect(isGone(await clientsOf(server))).toBe(true));
    for (let look = 0; look < 20; look++) {
      expect(await server.command('GET', 'cache:users:key')).toContain('newest');
    }
    expect(await cutOff.cache.get('key')).toBe('newest');
    expect(await other.cache.get('key')).toBe('newest');
  });

  it.each<[string, (cache: AsyncCache) => Promise<unknown>]>([
    ['delete', (cache) => cache.delete('key')],
    ['clear', (cache) => cache.clear()],
    ['invalidateTags', (cache) => cache.invalidateTags('team')],
    ['set', (cache) => cache.set('key', 'only here')],
  ])('race 14: a %s of an outage is replayed before Redis is read again', async (_what, change) => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const [cutOff, other] = [await podAt(proxy.port), await podAt(server.port)];
    await cutOff.cache.set('key', 'old', { tags: ['team'] });
    await proxy.refuseNew(true);
    proxy.cut();
    await untilDown(cutOff);
    await change(cutOff.cache);
    expect(await other.cache.get('key')).toBe('old');
    await proxy.refuseNew(false);
    await untilUp(cutOff);
    expect(await cutOff.cache.get('key')).toBeUndefined();
    await vi.waitFor(async () => expect(await other.cache.get('key')).toBeUndefined());
  });

  it.each(['clear', 'invalidateTags'] as const)(
    'race 14: a %s that Redis refused takes effect in its own process, too, when it is repeated',
    async (what) => {
      const server = await ownRedis();
      const [refused, other] = [await podAt(server.port, { heartbeatMs: 100 }), await podAt(server.port)];
      await other.cache.set('key', 'old', { tags: ['team'] });
      // Without scripts a plain command stores the new stamp, and its own process receives no message about it.
      await server.command('ACL', 'SETUSER', 'default', '-set', '-eval', '-evalsha');
      await (what === 'clear' ? refused.cache.clear() : refused.cache.invalidateTags('team'));
      expect(await refused.cache.get('key')).toBeUndefined();
      expect(await other.cache.get('key')).toBe('old');
      await server.command('ACL', 'SETUSER', 'default', '+set');
      await vi.waitFor(async () => expect(await other.cache.get('key')).toBeUndefined(), { timeout: 5000 });
      await vi.waitFor(async () => expect((await refused.all.healthCheck()).redisConnected).toBe(true));
      expect(await refused.cache.get('key')).toBeUndefined();
      await refused.cache.set('key', 'new', { tags: ['team'] });
      await vi.waitFor(async () => expect(await other.cache.get('key')).toBe('new'));
    },
  );

  it('race 14: a deletion that was made during the replay of an earlier one is kept', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const [cutOff, other] = [await podAt(proxy.port), await podAt(server.port)];
    await cutOff.cache.set('key', 'old');
    for (let round = 0; round < 3; round++) {
      proxy.stall('up', { onlyExisting: true });
      await cutOff.cache.delete('key'); // no answer arrives
      await other.cache.set('key', `newer ${round}`);
      proxy.cut();
      await untilUp(cutOff);
      expect(await cutOff.cache.get('key')).not.toBe('old');
    }
    await cutOff.cache.delete('key');
    await vi.waitFor(async () => expect(await other.cache.get('key')).toBeUndefined());
  });

  it('race 17: all processes agree after a set that was executed but never answered', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const [podA, podB] = [await podAt(proxy.port), await podAt(server.port)];
    await podA.cache.set('key', 'old');
    proxy.stall('down', { onlyExisting: true });
    expect(await podA.cache.set('key', 'unanswered')).toBe(false);
    proxy.cut();
    await untilUp(podA);
    const answers = await Promise.all([podA, podB].map(({ cache }) => cache.getOrSet('key', async () => 'loaded')));
    expect(answers).toEqual(['loaded', 'loaded']);
  });

  it('an entry that a process loaded before it tracked changes is dropped once it tracks changes', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const other = await podAt(server.port);
    proxy.stall('both');
    const all = cacheForTest({ redis: { host: '127.0.0.1', port: proxy.port }, deadlineMs: 300 });
    const slow = { all, cache: all.getCache('users') };
    expect(await slow.cache.getOrSet('key', async () => 'old')).toBe('old');
    await other.cache.set('key', 'new');
    proxy.resume();
    await untilUp(slow);
    await vi.waitFor(async () => expect(await slow.cache.get('key')).toBe('new'));
  });

  it('a clear takes effect in every process although Redis is full', async () => {
    const server = await ownRedis();
    const [podA, podB] = [await podAt(server.port), await podAt(server.port)];
    await podA.cache.set('key', 'old');
    expect(await podB.cache.get('key')).toBe('old');
    await server.command('CONFIG', 'SET', 'maxmemory', '1mb');
    await podA.cache.clear();
    expect(await podA.cache.get('key')).toBeUndefined();
    await vi.waitFor(async () => expect(await podB.cache.get('key')).toBeUndefined());
  });
});
