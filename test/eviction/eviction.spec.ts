import { describe, expect, it } from 'vitest';
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
});
