import { FakeClock } from 'nestjs-distributed-cache/testing';
import { describe, expect, it, vi } from 'vitest';
import { userOf } from '../../scripts/corpora.mjs';
import { ownRedis } from '../support/redis-for-test.js';
import { podAt } from '../races/pods.js';
import { POLICIES, runEviction } from './eviction-run.js';

describe('a Redis that holds a tenth of the data', () => {
  it.each(POLICIES)(
    'causes no error, and keeps the stamp of the namespace where only keys with a TTL are evicted: %s',
    async (policy) => {
      // With the deadline of a caller, a busy machine refuses sets that Redis would have stored.
      const result = await runEviction({ policy, seconds: 2, memoryMb: 3, keys: 30_000, deadlineMs: 5000 });
      expect(result.callerErrors).toBe(0);
      expect(result.hitPercent).toBeGreaterThan(0);
      if (policy === 'noeviction') {
        expect(result.setsRefusedPercent).toBeGreaterThan(0);
      } else {
        expect(result.evictedKeys).toBeGreaterThan(0);
        expect(result.setsRefusedPercent).toBeLessThan(5);
      }
      if (!policy.startsWith('allkeys')) {
        expect(result.namespaceMisses).toBe(0);
      }
    },
    60_000,
  );

  it('continues storing under volatile-lru, however many tags have been used', async () => {
    const server = await ownRedis();
    const { cache } = await podAt(server.port);
    await cache.set('first', 1);
    const used = Number(/used_memory:(\d+)/.exec(String(await server.command('INFO', 'memory')))?.[1]);
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru');
    await server.command('CONFIG', 'SET', 'maxmemory', String(used + 1_500_000));
    const name = 'a tag with a long name '.repeat(5);
    for (let from = 0; from < 10_000; from += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          cache.set(`key${from + index}`, 1, { ttl: 1, tags: [`${name}${from + index}`] }),
        ),
      );
    }
    expect(await cache.set('last', 1, { tags: [`${name}last`] })).toBe(true);
    // Redis chooses the keys that it evicts: a lease or a new entry may be among them.
    const loads = Array.from({ length: 20 }, (_, index) => `loaded${index}`);
    for (const key of loads) {
      await cache.getOrSet(key, async () => 1, { tags: [`${name}${key}`] });
    }
    const stored = await server.command('EXISTS', ...loads.map((key) => `cache:users:${key}`));
    expect(stored).toBeGreaterThan(loads.length / 2);
  }, 60_000);

  it('makes values misses when it evicts their dictionary, and has it again after a minute', async () => {
    const server = await ownRedis();
    const options = {
      local: false,
      deadlineMs: 5000,
      namespaces: { users: { compression: { dictionary: true } } },
    } as const;
    const clock = new FakeClock();
    const writer = await podAt(server.port, options, { clock });
    const rows = (from: number) =>
      new Map(Array.from({ length: 200 }, (_, at) => [`row:${from + at}`, userOf(from + at)]));
    await writer.cache.setMany(rows(0));
    const dictionaries = async () =>
      ((await server.command('KEYS', 'cache:{cache:users:#dict}:*')) as string[]).filter((key) =>
        /[0-9a-f]{16}$/.test(key),
      );
    await vi.waitFor(async () => expect(await dictionaries()).toHaveLength(1));
    const used = Number(/used_memory:(\d+)/.exec(String(await server.command('INFO', 'memory')))?.[1]);
    await server.command('CONFIG', 'SET', 'maxmemory', String(used + 200_000));
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    let from = 1000;
    for (; (await dictionaries()).length > 0 && from < 100_000; from += 200) {
      await writer.cache.setMany(rows(from));
    }
    const key = `row:${from - 1}`;
    const reader = await podAt(server.port, options);
    expect(await reader.cache.get(key)).toBeUndefined();
    expect(await reader.cache.getOrSet(key, async () => 'loaded')).toBe('loaded');
    // All keys are as old as each other by the clock of the LRU, one second: what is stored now could be evicted at once.
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    clock.advance(60_000);
    await vi.waitFor(async () => {
      await writer.cache.set('next', userOf(1));
      expect(await dictionaries()).toHaveLength(1);
      const later = await podAt(server.port, options);
      expect(await later.cache.get('next')).toEqual(userOf(1));
    });
  }, 60_000);
});
