import { describe, expect, it, vi } from 'vitest';
import { RedisTier } from '../../libs/distributed-cache/src/redis/index.js';
import { Gate, heldLoad } from '../support/gate.js';
import { ownRedis, redisForTest, sharedRedis } from '../support/redis-for-test.js';
import { receivedAll, podAt, podWith, waitsFor, type Pod } from './pods.js';

async function pods(count: number): Promise<Pod[]> {
  const redis = sharedRedis();
  return Promise.all(Array.from({ length: count }, () => podWith(redis)));
}

describe('a load that a change supersedes', () => {
  it('race 1: stores nothing that it read before another process wrote and deleted', async () => {
    const [podA, podB] = (await pods(2)) as [Pod, Pod];
    const { answer, release } = await heldLoad(podA.cache, 'v1');
    await podB.cache.set('key', 'v2');
    await podB.cache.delete('key');
    release();
    expect(await answer).toBe('v1');
    expect(await podB.cache.getOrSet('key', async () => 'v2')).toBe('v2');
    await vi.waitFor(async () => expect(await podA.cache.get('key')).toBe('v2'));
  });

  it.each<[string, (pod: Pod) => Promise<unknown>, unknown]>([
    ['deletion that found no entry, so that no message was sent', ({ cache }) => cache.delete('key'), undefined],
    ['deletion of many keys', ({ cache }) => cache.deleteMany(['other', 'key']), undefined],
    ['set', ({ cache }) => cache.set('key', 'set'), 'set'],
  ])('race 1: is stored in no tier of any process after a %s elsewhere', async (_what, change, after) => {
    const [podA, podB, podC] = (await pods(3)) as [Pod, Pod, Pod];
    const { answer, release } = await heldLoad(podA.cache, 'v1');
    await change(podB);
    release();
    expect(await answer).toBe('v1');
    for (const { cache } of [podA, podB, podC]) {
      expect(await cache.get('key')).toBe(after);
    }
  });

  it('race 2: is not stored during the hold-off of a deletion, for a source that lags behind', async () => {
    const [podA, podB] = (await pods(2)) as [Pod, Pod];
    await podA.cache.set('key', 'v1');
    await podA.cache.delete('key', { holdOff: '1h' });
    for (const { cache } of [podA, podB]) {
      expect(await cache.getOrSet('key', async () => 'v1 of the replica')).toBe('v1 of the replica');
      expect(await cache.get('key')).toBeUndefined();
    }
    await podB.cache.set('key', 'v2');
    expect(await podA.cache.get('key')).toBe('v2');
  });

  it.each([
    ['its own process', 0],
    ['another process', 1],
  ])('race 12: is not stored after a clear in %s', async (_where, by) => {
    const both = await pods(2);
    const [podA, podB] = both as [Pod, Pod];
    const { answer, release } = await heldLoad(podA.cache, 'old');
    await both[by]!.cache.clear();
    release();
    await answer;
    for (const { cache } of [podA, podB]) {
      expect(await cache.get('key')).toBeUndefined();
    }
  });

  it('race 13: is not joined by a call that comes after a deletion', async () => {
    const [pod] = (await pods(1)) as [Pod];
    const { answer, release } = await heldLoad(pod.cache, 'v1');
    await pod.cache.delete('key');
    expect(await pod.cache.getOrSet('key', async () => 'v2')).toBe('v2');
    release();
    expect(await answer).toBe('v1');
    expect(await pod.cache.get('key')).toBe('v2');
  });

  it('race 13: is not joined either when another process has deleted the key', async () => {
    const server = await ownRedis();
    const [podA, podB] = [await podAt(server.port), await podAt(server.port)];
    // A load despite a fresh value: a stale entry exists, as after a failed read of Redis.
    await server.command('SET', 'cache:users:key', 'no envelope {');
    const { answer, release } = await heldLoad(podA.cache, 'v1');
    await podB.cache.delete('key');
    await receivedAll(podA, (key) => server.command('DEL', `cache:users:${key}`));
    expect(await podA.cache.getOrSet('key', async () => 'v2')).toBe('v2');
    release();
    expect(await answer).toBe('v1');
    expect(await podA.cache.get('key')).toBe('v2');
  });

  it('race 16: is not stored when the lease has passed to a faster load', async () => {
    const redis = redisForTest();
    const options = { redis: { url: redis.url }, keyPrefix: redis.keyPrefix };
    const [podA, podB] = [await podWith(options), await podWith(options)];
    const { answer, release } = await heldLoad(podA.cache, 'slow');
    const slot = `{${redis.keyPrefix}:users:key}`;
    expect(await redis.admin.del(`${redis.keyPrefix}:${slot}:lease`)).toBe(1); // as when it expires
    expect(await podB.cache.getOrSet('key', async () => 'quick')).toBe('quick');
    release();
    expect(await answer).toBe('slow');
    expect(await podB.cache.get('key')).toBe('quick');
    await vi.waitFor(async () => expect(await podA.cache.get('key')).toBe('quick'));
  });

  it('race 19: brings no entry back after several deletions at once', async () => {
    const [podA, podB] = (await pods(2)) as [Pod, Pod];
    await podA.cache.set('key', 'v1');
    const { answer, release } = await heldLoad(podA.cache, 'v1', 'other');
    await Promise.all([podA.cache.delete('key'), podB.cache.delete('key'), podB.cache.deleteMany(['key', 'other'])]);
    release();
    await answer;
    expect(await podB.cache.getMany(['key', 'other'])).toEqual([undefined, undefined]);
    expect(await podA.cache.getMany(['key', 'other'])).toEqual([undefined, undefined]);
  });
});

it('race 20: the result of a load without the lease is kept in no tier after another load stored nothing', async () => {
  const [podA, podB, podC] = (await pods(3)) as [Pod, Pod, Pod];
  const fill = vi.spyOn(RedisTier.prototype, 'fill');
  const { answer, release } = await heldLoad(podA.cache, () => 'a function, which is not stored');
  const gate = new Gate();
  let running = 0;
  const loads = [podB, podC].map(({ cache }, index) =>
    cache.getOrSet('key', async () => {
      running++;
      await gate.opened;
      return index;
    }),
  );
  await vi.waitFor(() => expect([waitsFor(podB, 'key'), waitsFor(podC, 'key')]).toEqual([true, true]));
  release();
  expect(await answer).toBeTypeOf('function');
  await vi.waitFor(() => expect(running).toBe(2), { timeout: 10_000 });
  await podA.cache.delete('key'); // there is no value, so no process gets a message; it ends the load under the lease
  gate.open();
  expect(await Promise.all(loads)).toEqual([0, 1]);
  expect(fill.mock.calls.length).toBeLessThanOrEqual(1);
  for (const { cache } of [podA, podB, podC]) {
    expect(await cache.get('key')).toBeUndefined();
  }
});
