import { expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { failoverLoad } from '../../../../test/support/failover-load.js';
import { RedisCluster } from '../../../../test/support/redis-cluster.js';
import type { RedisServer } from '../../../../test/support/redis-server.js';
import { keySlot, SLOT_COUNT } from '../keys/index.js';

const KEYS = Array.from({ length: 40 }, (_, index) => `key:${index}`);
const FIRST_SHARE = Math.floor(SLOT_COUNT / 3);

/**
 * Moves a slot as an administrator does: key by key, while both masters serve. `between` runs when half of its keys
 * have moved.
 */
async function moveSlot(slot: number, from: RedisServer, to: RedisServer, between: () => Promise<void>): Promise<void> {
  const [fromId, toId] = [String(await from.command('CLUSTER', 'MYID')), String(await to.command('CLUSTER', 'MYID'))];
  await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
  await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
  const move = async (): Promise<number> => {
    const keys = (await from.command('CLUSTER', 'GETKEYSINSLOT', slot, 1)) as string[];
    if (keys.length > 0) {
      await from.command('MIGRATE', to.host, to.port, '', 0, 5000, 'KEYS', ...keys);
    }
    return keys.length;
  };
  await move();
  await between();
  while ((await move()) > 0) {
    // until no key is left
  }
  await to.command('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
  await from.command('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
}

it('a slot that moves to another master under load causes no error, and its changes are tracked there', async () => {
  const group = await RedisCluster.start({ masters: 3 });
  onTestFinished(() => group.stop());
  const options = { redis: { cluster: { nodes: group.addresses } } };
  const [all, another] = [cacheForTest(options), cacheForTest(options)];
  await Promise.all([all.connect(), another.connect()]);
  const [cache, other] = [all.getCache<string>('users'), another.getCache<string>('users')];
  expect(await cache.setMany(KEYS.map((key) => [key, key] as const))).toBe(true);
  const load = failoverLoad(cache, KEYS);
  await load.untilCalls(100);
  const [from, to] = [group.masters[0]!, group.masters[1]!];
  const moving = KEYS.filter((key) => keySlot(`cache:users:${key}`) < FIRST_SHARE);
  expect(moving.length).toBeGreaterThan(5);
  let calls = 100;
  for (const key of moving) {
    await moveSlot(keySlot(`cache:users:${key}`), from, to, () => load.untilCalls((calls += 20)));
  }
  await load.untilCalls(calls + 200);
  expect(await load.stop()).toEqual({ errors: [], wrong: [] });
  expect((await all.healthCheck()).status).toBe('up');
  // Writes reach their new place, and every process receives the message.
  await vi.waitFor(async () => expect(await cache.setMany(KEYS.map((key) => [key, 'moved'] as const))).toBe(true));
  await vi.waitFor(async () => expect(new Set(await other.getMany(KEYS))).toEqual(new Set(['moved'])));
  await vi.waitFor(async () => expect(await other.lookup(moving[0]!)).toMatchObject({ tier: 'local' }));
  await to.command('DEL', `cache:users:${moving[0]}`);
  await vi.waitFor(async () => expect(await other.get(moving[0]!)).toBeUndefined());
  await vi.waitFor(async () => expect((await all.healthCheck()).redis?.journalLength).toBe(0), { timeout: 5000 });
});
