import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { FaultProxy } from '../../../../test/support/fault-proxy.js';
import { Gate } from '../../../../test/support/gate.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import { FakeClock } from '../testing/index.js';
import type { DistributedCacheOptions } from '../config/index.js';
import type { AsyncCache } from './async-cache.js';
import type { EntryInspection } from './inspect.js';

async function usersOver(options: DistributedCacheOptions): Promise<AsyncCache> {
  const whole = cacheForTest(options);
  await whole.connect();
  return whole.getCache('users');
}

function twoTiers(more: DistributedCacheOptions = {}) {
  const { url, keyPrefix, admin } = redisForTest();
  return { options: { redis: { url }, keyPrefix, namespaces: { users: { grace: '1h' } }, ...more } as const, admin };
}

describe('inspect', () => {
  it('shows both tiers of an entry: state, age, TTLs, tags, sizes and codec, and never the value', async () => {
    const { options, admin } = twoTiers();
    const users = await usersOver(options);
    await users.set('key', { secret: 'x'.repeat(5000) }, { ttl: '5m', tags: ['team'] });
    const inspection = await users.inspect('key');
    const redisKey = `${options.keyPrefix}:users:key`;
    expect(inspection).toMatchObject({
      namespace: 'users',
      key: 'key',
      redisKey,
      isLoading: false,
      isJournalled: false,
    });
    const both = { state: 'fresh', isCurrent: true, tags: [{ name: 'team', isCurrent: true }] };
    expect(inspection.local).toMatchObject({ ...both, isTrusted: true, isCopiedOnRead: true });
    expect(inspection.redis).toMatchObject({
      ...both,
      serializer: 'json',
      compressor: 'deflate',
      lease: 'free',
      loadMs: 0,
    });
    const { local, redis } = inspection;
    if (local.state !== 'fresh' || redis.state !== 'fresh') {
      throw new Error('not fresh');
    }
    for (const { ttlMs, graceMs, ageMs } of [local, redis]) {
      expect(ttlMs).toBeGreaterThan(290_000);
      expect(ttlMs).toBeLessThanOrEqual(300_000);
      expect(graceMs).toBeGreaterThan(3_590_000);
      expect(graceMs).toBeLessThan(3_610_000);
      expect(ageMs).toBeGreaterThanOrEqual(0);
      expect(ageMs).toBeLessThan(10_000);
    }
    expect(local.heapBytes).toBeGreaterThan(5000);
    expect(redis.storedBytes).toBe(await admin.strlen(redisKey));
    expect(redis.rawBytes).toBe(JSON.stringify({ secret: 'x'.repeat(5000) }).length);
    expect(JSON.stringify(inspection)).not.toContain('xxx');
  });

  it('shows an entry that only L1 has, with its stale part', async () => {
    const clock = new FakeClock();
    const whole = cacheForTest({ redis: false, namespaces: { users: { grace: '1h' } } }, { clock });
    const users = whole.getCache('users');
    await users.set('key', new Date(0), { ttl: 60, tags: ['team'] });
    clock.advance(90_000);
    const inspection = await users.inspect('key');
    expect(inspection.redis).toEqual({ state: 'none' });
    expect(inspection.local).toMatchObject({
      state: 'stale',
      ageMs: 90_000,
      ttlMs: -30_000,
      graceMs: 3_570_000,
      isCurrent: true,
      isCopiedOnRead: true,
    });
    await users.invalidateTags('team');
    expect((await users.inspect('key')).local).toMatchObject({
      isCurrent: false,
      tags: [{ name: 'team', isCurrent: false }],
    });
    clock.advance(3_570_000);
    expect((await users.inspect('key')).local).toEqual({ state: 'missing' });
  });

  it('shows an entry that only Redis has, and the reason that makes it a miss', async () => {
    const { options } = twoTiers({ local: false });
    const users = await usersOver({ ...options, namespaces: { users: { version: 3 } } });
    await users.set('key', 1, { tags: ['a', 'b'] });
    expect(await users.inspect('key')).toMatchObject({
      local: { state: 'off' },
      redis: { state: 'fresh', isCurrent: true, version: 3, compressor: 'none' },
    });
    await users.invalidateTags('b');
    expect((await users.inspect('key')).redis).toMatchObject({
      isCurrent: false,
      tags: [
        { name: 'a', isCurrent: true },
        { name: 'b', isCurrent: false },
      ],
    });
    await users.set('key', 1);
    const other = await usersOver({ ...options, namespaces: { users: { version: 4 } } });
    expect((await other.inspect('key')).redis).toMatchObject({ isCurrent: false, version: 3 });
    await users.clear();
    expect((await users.inspect('key')).redis).toMatchObject({ isCurrent: false });
  });

  it('does not show an entry of L1 as trusted once another process has invalidated a tag of it', async () => {
    const { options } = twoTiers();
    const [users, others] = [await usersOver(options), await usersOver(options)];
    await users.set('key', 'value', { tags: ['team'] });
    await vi.waitFor(async () => {
      await others.get('key');
      expect((await others.inspect('key')).local).toMatchObject({ state: 'fresh', isTrusted: true });
    });
    await users.invalidateTags('team');
    await vi.waitFor(async () => expect((await others.inspect('key')).local).toMatchObject({ isTrusted: false }));
    expect((await others.inspect('key')).redis).toMatchObject({ isCurrent: false });
  });

  it('shows a missing and a corrupt entry, and whether a process is loading the key', async () => {
    const { options, admin } = twoTiers();
    const users = await usersOver(options);
    expect(await users.inspect('key')).toMatchObject({
      local: { state: 'missing' },
      redis: { state: 'missing', lease: 'free' },
      isLoading: false,
    });
    await users.set('key', 'value');
    const name = `${options.keyPrefix}:users:key`;
    const bytes = (await admin.getBuffer(name))!;
    bytes[bytes.length - 1]! ^= 1;
    await admin.set(name, bytes);
    expect((await users.inspect('key')).redis).toMatchObject({
      state: 'corrupt',
      storedBytes: bytes.length,
      reason: expect.stringContaining('checksum') as string,
    });
    const [started, gate] = [new Gate(), new Gate()];
    const loading = users.getOrSet('slow', async () => {
      started.open();
      await gate.opened;
      return 1;
    });
    await started.opened;
    expect(await users.inspect('slow')).toMatchObject({ isLoading: true, redis: { state: 'missing', lease: 'held' } });
    gate.open();
    await loading;
    await users.delete('slow', { holdOff: '1m' });
    expect((await users.inspect('slow')).redis).toEqual({ state: 'missing', lease: 'held-off' });
  });

  it('is no lookup: it counts, emits and writes nothing', async () => {
    const { options, admin } = twoTiers();
    const whole = cacheForTest(options);
    await whole.connect();
    const users = whole.getCache('users');
    const emitted: string[] = [];
    for (const name of ['hit', 'miss', 'tierError', 'delete'] as const) {
      whole.events.on(name, () => emitted.push(name));
    }
    const before = JSON.stringify(users.getMetrics());
    await users.inspect('key');
    await admin.set(`${options.keyPrefix}:users:key`, 'not ours');
    await users.inspect('key');
    expect(JSON.stringify(users.getMetrics())).toBe(before);
    expect(emitted).toEqual([]);
    expect(await admin.exists(`${options.keyPrefix}:users:#clear`)).toBe(0);
  });

  it('reports that Redis is unavailable, that L1 serves, and which deletions are pending', async () => {
    const { port, keyPrefix } = redisForTest();
    const proxy = await FaultProxy.start(port);
    const users = await usersOver({ redis: { host: proxy.host, port: proxy.port }, keyPrefix, heartbeatMs: 50 });
    await users.set('key', 1);
    await proxy.close();
    await expect.poll(async () => (await users.inspect('key')).redis.state).toBe('unreachable');
    expect((await users.inspect('key')).local).toMatchObject({ state: 'fresh', isTrusted: true });
    await users.delete('key');
    expect(await users.inspect('key')).toMatchObject({ isJournalled: true, local: { state: 'missing' } });
  });

  it('accepts every key that the other methods accept, and rejects an invalid one', async () => {
    const users = cacheForTest({ redis: false }).getCache('users');
    const key = users.keyFor('k', { version: 2 })!;
    await users.set('k', 1, { version: 2 });
    expect((await users.inspect(key)).local.state).toBe('fresh');
    expect((await users.inspect(key)).key).toBe('k%v2');
    expect((await users.inspect('k')).local.state).toBe('missing');
    await expect(users.inspect('')).rejects.toThrow('must not be empty');
    expectTypeOf(users.inspect('k')).resolves.toEqualTypeOf<EntryInspection>();
  });
});
