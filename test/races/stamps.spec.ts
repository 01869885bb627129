import { describe, expect, it, vi } from 'vitest';
import { Gate } from '../support/gate.js';
import { ownRedis, redisForTest } from '../support/redis-for-test.js';
import { podAt, podWith, warm, type Pod } from './pods.js';

async function twoPods(): Promise<{ podA: Pod; podB: Pod; forget: (name: string) => Promise<number> }> {
  const { url, keyPrefix, admin } = redisForTest();
  const options = { redis: { url }, keyPrefix };
  return {
    podA: await podWith(options),
    podB: await podWith(options),
    forget: (name) => admin.del(`${keyPrefix}:users:${name}`),
  };
}

describe('stamps of tags and namespaces', () => {
  it('race 9: an invalidation drops all entries of a tag or none, in one step', async () => {
    const { podA, podB } = await twoPods();
    const keys = ['a', 'b', 'c'];
    await podA.cache.setMany(
      keys.map((key) => [key, key]),
      { tags: ['team'] },
    );
    expect(await podB.cache.getMany(keys)).toEqual(keys);
    await podA.cache.invalidateTags('team');
    await podA.all.close(); // any further command would not be executed
    await vi.waitFor(async () => expect(await podB.cache.getMany(keys)).toEqual([undefined, undefined, undefined]));
  });

  it('race 10: an entry is not kept if its tag was invalidated during its load', async () => {
    const { podA, podB } = await twoPods();
    const [started, gate] = [new Gate(), new Gate()];
    const loading = podA.cache.getOrSet(
      'key',
      async () => {
        started.open();
        await gate.opened;
        return 'old';
      },
      { tags: ['team'] },
    );
    await started.opened;
    await podB.cache.invalidateTags('team');
    gate.open();
    expect(await loading).toBe('old');
    expect(await podB.cache.get('key')).toBeUndefined();
    await vi.waitFor(async () => expect(await podA.cache.get('key')).toBeUndefined());
  });

  it('race 10: an entry is not kept if its loader has added a tag that was invalidated during its load', async () => {
    const { podA, podB } = await twoPods();
    const [started, gate] = [new Gate(), new Gate()];
    const loading = podA.cache.getOrSet('key', async (context) => {
      started.open();
      await gate.opened;
      context.addTags('team');
      return 'old';
    });
    await started.opened;
    await podB.cache.invalidateTags('team');
    gate.open();
    expect(await loading).toBe('old');
    expect(await podA.cache.get('key')).toBeUndefined();
    expect(await podB.cache.get('key')).toBeUndefined();
  });

  it.each([false, true])(
    'race 10: no such entry is kept where Redis may not report changes (tag added by the loader: %s)',
    async (isAdded) => {
      const server = await ownRedis();
      await server.command('ACL', 'SETUSER', 'untracked', 'on', '>secret', '~*', '+@all', '-client|tracking');
      const redis = { host: '127.0.0.1', port: server.port, username: 'untracked', password: 'secret' };
      const [untracked, other] = [await podWith({ redis }), await podAt(server.port)];
      await other.cache.set('older', 1, { tags: ['team'] });
      const [started, gate] = [new Gate(), new Gate()];
      const loading = untracked.cache.getOrSet(
        'key',
        async (context) => {
          started.open();
          await gate.opened;
          if (isAdded) {
            context.addTags('team');
          }
          return 'old';
        },
        { tags: isAdded ? [] : ['team'] },
      );
      await started.opened;
      await other.cache.invalidateTags('team');
      gate.open();
      expect(await loading).toBe('old');
      expect(await other.cache.get('key')).toBeUndefined();
    },
  );

  it.each([
    ['a namespace', '#clear', (cache: Pod['cache']) => cache.clear()],
    ['a tag', '#tag:team', (cache: Pod['cache']) => cache.invalidateTags('team')],
  ])('race 11: no old entry returns when the stamp of %s is evicted', async (_what, name, invalidate) => {
    const { podA, podB, forget } = await twoPods();
    await podA.cache.set('first', 1, { tags: ['team'] });
    expect(await podB.cache.get('first')).toBe(1);
    expect(await forget(name)).toBe(1);
    // Another stamp takes its place; then that one is evicted, too.
    await podA.cache.set('second', 2, { tags: ['team'] });
    for (const { cache } of [podA, podB]) {
      await vi.waitFor(async () => expect(await cache.get('first')).toBeUndefined());
    }
    await invalidate(podA.cache);
    expect(await forget(name)).toBe(1);
    await podB.cache.set('third', 3, { tags: ['team'] });
    for (const { cache } of [podA, podB]) {
      await vi.waitFor(async () => {
        expect(await cache.getMany(['first', 'second', 'third'])).toEqual([undefined, undefined, 3]);
      });
    }
    await warm(podB, 'third');
  });
});
