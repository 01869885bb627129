import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { AsyncCache, DistributedCache, DistributedCacheOptions } from 'nestjs-distributed-cache/core';
import { cacheForTest } from '../support/cache-for-test.js';
import { Gate } from '../support/gate.js';

/** The Redis of the caches in one run of the contract. */
export interface Topology {
  readonly redis: DistributedCacheOptions['redis'];
  readonly stop: () => Promise<void>;
  /** Resolves when the cache is as the contract is to be tested. */
  readonly ready?: (cache: DistributedCache) => Promise<void>;
}

/** The behaviour that all topologies have in common. `isShared`: two caches over it see each other's entries. */
export function describeCacheContract(name: string, isShared: boolean, start: () => Promise<Topology>): void {
  describe(`the contract of ${name}`, () => {
    let topology: Topology;
    beforeAll(async () => {
      topology = await start();
    });
    afterAll(() => topology.stop());

    /** Caches with one prefix, each with connections and an L1 of its own. */
    async function wholePods(count: number, keyPrefix = `contract-${randomUUID()}`): Promise<DistributedCache[]> {
      const options: DistributedCacheOptions = {
        redis: topology.redis,
        keyPrefix,
        namespaces: { users: { grace: '1h' } },
      };
      const caches = Array.from({ length: count }, () => cacheForTest(options));
      await Promise.all(caches.map((cache) => cache.connect()));
      await Promise.all(caches.map((cache) => topology.ready?.(cache) ?? Promise.resolve()));
      return caches;
    }

    async function pods(count: number): Promise<AsyncCache[]> {
      return (await wholePods(count)).map((cache) => cache.getCache('users'));
    }

    it('keeps values of every type unchanged', async () => {
      const [cache] = (await pods(1)) as [AsyncCache];
      const values = {
        date: new Date(0),
        map: new Map([[1, new Set(['a'])]]),
        big: 1n,
        bytes: Buffer.from('x'),
        nan: NaN,
      };
      for (const value of [null, undefined, 0, '', false, values, [values]]) {
        expect(await cache.set('key', value)).toBe(true);
        expect(await cache.lookup('key')).toMatchObject({ state: 'fresh' });
        expect(await cache.get('key')).toEqual(value);
      }
    });

    it('loads once for many callers, passes on the error object of the loader and keeps nothing then', async () => {
      const [cache] = (await pods(1)) as [AsyncCache];
      const load = vi.fn(async () => 'Ada');
      const answers = await Promise.all(Array.from({ length: 100 }, () => cache.getOrSet('key', load)));
      expect(new Set(answers)).toEqual(new Set(['Ada']));
      expect(await cache.getOrSet('key', load)).toBe('Ada');
      expect(load).toHaveBeenCalledTimes(1);
      const error = new Error('no database');
      await expect(cache.getOrSet('other', () => Promise.reject(error))).rejects.toBe(error);
      expect(await cache.lookup('other')).toEqual({ state: 'miss' });
      expect(await cache.getOrSet('other', () => 'fine')).toBe('fine');
    });

    it('reads, writes, loads and deletes many keys at once, in any slots', async () => {
      const [cache] = (await pods(1)) as [AsyncCache];
      const keys = Array.from({ length: 60 }, (_, index) => `key ${index} {same}`);
      expect(await cache.setMany(keys.slice(0, 30).map((key) => [key, key] as const))).toBe(true);
      expect(await cache.getMany(keys)).toEqual(keys.map((key, index) => (index < 30 ? key : undefined)));
      const load = vi.fn(async (missing: string[]) => missing);
      expect(await cache.getOrSetMany([...keys, keys[0]!], load)).toEqual([...keys, keys[0]]);
      // In one call, unless a master answers later than the others by more than the waiting time of a batch.
      const loaded = load.mock.calls.flatMap(([missing]) => missing);
      expect(loaded.toSorted()).toEqual(keys.slice(30).toSorted());
      expect(await cache.deleteMany(keys)).toBe(60);
      expect(await cache.getMany(keys)).toEqual(keys.map(() => undefined));
    });

    it('invalidates by key, by tag and by namespace, and keeps an expired entry as stale', async () => {
      const [cache] = (await pods(1)) as [AsyncCache];
      await cache.set('a', 1, { tags: ['odd'] });
      await cache.set('b', 2);
      await cache.set('c', 3);
      await cache.invalidateTags('odd');
      expect(await cache.delete('b')).toBe(true);
      expect(await cache.expire('c')).toBe(true);
      expect(await cache.getMany(['a', 'b', 'c'])).toEqual([undefined, undefined, undefined]);
      expect(await cache.lookup('c')).toMatchObject({ state: 'stale', value: 3 });
      await cache.set('d', 4);
      await cache.clear();
      expect(await cache.get('d')).toBeUndefined();
    });

    it.each<[string, (cache: AsyncCache) => Promise<unknown>]>([
      ['a deletion', (cache) => cache.delete('key')],
      ['a clear', (cache) => cache.clear()],
      ['an invalidated tag', (cache) => cache.invalidateTags('tag')],
    ])('stores no result of a load that %s has superseded', async (_what, change) => {
      const caches = await pods(isShared ? 2 : 1);
      const [loading, changing] = [caches[0]!, caches.at(-1)!];
      const [started, gate] = [new Gate(), new Gate()];
      const load = loading.getOrSet(
        'key',
        async () => {
          started.open();
          await gate.opened;
          return 'old';
        },
        { tags: ['tag'] },
      );
      await started.opened;
      await change(changing);
      gate.open();
      expect(await load).toBe('old');
      for (const cache of caches) {
        expect(await cache.get('key')).toBeUndefined();
      }
    });

    it('loads once for all processes, and each process tracks the changes of the others', async () => {
      const caches = await pods(isShared ? 3 : 1);
      const load = vi.fn(async () => 'loaded');
      await Promise.all(caches.map((cache) => cache.getOrSet('key', load)));
      expect(load).toHaveBeenCalledTimes(1);
      await Promise.all(caches.map((cache) => cache.get('key')));
      await caches[0]!.set('key', 'changed');
      await vi.waitFor(async () =>
        expect(await Promise.all(caches.map((cache) => cache.get('key')))).toEqual(caches.map(() => 'changed')),
      );
    });

    it('stores, deletes and clears one key or many for every process, on all nodes', async () => {
      const keyPrefix = `contract-${randomUUID()}`;
      const caches = await wholePods(isShared ? 2 : 1, keyPrefix);
      const [all, another] = [caches[0]!, caches.at(-1)!];
      const [cache, other] = [all.getCache<string>('users'), another.getCache<string>('users')];
      const keys = Array.from({ length: 60 }, (_, index) => `key:${index}`);
      const [deleted, kept] = [keys.slice(0, 30), keys.slice(30)];
      const gone = (count: number): undefined[] => Array.from({ length: count }, () => undefined);
      /** Another process, whose L1 is empty. */
      const fresh = async () => (isShared ? (await wholePods(1, keyPrefix))[0]! : all);
      await all.getCache('orders').set('key', 'kept');
      expect(await cache.set('single', 'value')).toBe(true);
      expect(await other.get('single')).toBe('value');
      expect(await cache.getOrSet('loaded', async () => 'once')).toBe('once');
      expect(await other.getOrSet('loaded', async () => 'twice')).toBe('once');
      expect(await cache.setMany(keys.map((key) => [key, 'old'] as const))).toBe(true);
      expect(await other.getMany([...keys, 'none'])).toEqual([...keys.map(() => 'old'), undefined]);
      expect(await cache.setMany(keys.map((key) => [key, key] as const))).toBe(true);
      await vi.waitFor(async () => expect(await other.getMany(keys)).toEqual(keys));
      expect(await cache.delete('single')).toBe(true);
      expect(await other.deleteMany([...deleted, 'none'])).toBe(30);
      await vi.waitFor(async () => expect(await cache.getMany(['single', ...deleted])).toEqual(gone(31)));
      expect(await (await fresh()).getCache('users').getMany(keys)).toEqual([...gone(30), ...kept]);
      await cache.clear();
      expect(await cache.getMany(keys)).toEqual(gone(60));
      await vi.waitFor(async () => expect(await other.getMany(keys)).toEqual(gone(60)));
      const later = await fresh();
      expect(await later.getCache('users').getMany(keys)).toEqual(gone(60));
      expect(await later.getCache('orders').get('key')).toBe('kept');
      expect(await all.healthCheck()).toMatchObject({ status: 'up', redisConnected: isShared });
    });
  });
}
