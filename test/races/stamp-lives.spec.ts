import { describe, expect, it, vi } from 'vitest';
import type { LoaderContext } from 'nestjs-distributed-cache/core';
import { FakeClock } from 'nestjs-distributed-cache/testing';
import { ownRedis, redisForTest } from '../support/redis-for-test.js';
import { holdsCopy, podAt, podWith, warm, type Pod } from './pods.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

async function podsOn(count: number): Promise<{
  pods: Pod[];
  lifeOf: (name: string) => Promise<number>;
  redis: ReturnType<typeof redisForTest>;
}> {
  const redis = redisForTest();
  const options = { redis: { url: redis.url }, keyPrefix: redis.keyPrefix };
  return {
    pods: await Promise.all(Array.from({ length: count }, () => podWith(options))),
    lifeOf: (name) => redis.admin.pttl(`${redis.keyPrefix}:users:${name}`),
    redis,
  };
}

describe('the stamp of a tag', () => {
  it('has a TTL, in every way of creating it: only the stamp of the namespace stays for ever', async () => {
    const server = await ownRedis();
    const { cache } = await podAt(server.port);
    const numbers = Array.from({ length: 2000 }, (_, index) => index);
    for (let from = 0; from < numbers.length; from += 100) {
      const some = numbers.slice(from, from + 100);
      await Promise.all(some.map((each) => cache.set(`set${each}`, each, { ttl: 1, tags: [`of set${each}`] })));
    }
    await cache.getOrSet('loaded', async () => 1, { ttl: 1, tags: ['of loaded'] });
    await cache.getOrSet('added', async (context) => {
      context.addTags('of added');
      return 1;
    });
    await cache.invalidateTags('of set1', 'never used before');
    const keys = (await server.command('KEYS', '*')) as string[];
    expect(keys.filter((key) => key.includes('#tag:')).length).toBeGreaterThanOrEqual(2003);
    const lives = await Promise.all(keys.map(async (key) => [key, await server.command('PTTL', key)] as const));
    expect(lives.filter(([, lifeMs]) => lifeMs === -1)).toEqual([['cache:users:#clear', -1]]);
    const ofShort = lives.filter(([key]) => key.includes('#tag:of set') && key !== 'cache:users:#tag:of set1');
    expect(Math.max(...ofShort.map(([, lifeMs]) => Number(lifeMs)))).toBeLessThan(2 * 60_000);
  });

  it('lives at least as long as the longest-lived entry that carries it', async () => {
    const { pods, lifeOf } = await podsOn(1);
    const [{ cache }] = pods as [Pod];
    await cache.set('short', 1, { ttl: '1m', tags: ['team'] });
    expect(await lifeOf('#tag:team')).toBeGreaterThan(60_000);
    await cache.set('long', 1, { ttl: '10d', tags: ['team'] });
    expect(await lifeOf('#tag:team')).toBeGreaterThan(10 * DAY_MS);
    await cache.setMany([['graced', 1]], { ttl: '1m', grace: '30d', tags: ['team'] });
    expect(await lifeOf('#tag:team')).toBeGreaterThan(30 * DAY_MS);
    const load = async (context: LoaderContext): Promise<number> => {
      context.setTtl('60d');
      context.addTags('added');
      return 1;
    };
    await cache.getOrSet('loaded', load, { tags: ['team'] });
    expect(await lifeOf('#tag:team')).toBeGreaterThan(60 * DAY_MS);
    expect(await lifeOf('#tag:added')).toBeGreaterThan(60 * DAY_MS);
    await cache.set('short', 2, { ttl: '1m', tags: ['team'] });
    expect(await lifeOf('#tag:team')).toBeGreaterThan(60 * DAY_MS - HOUR_MS);
    expect(await cache.getMany(['short', 'long', 'graced', 'loaded'])).toEqual([2, 1, 1, 1]);
  });

  it('is extended only by a write that needs it, not by each', async () => {
    const server = await ownRedis();
    const { cache } = await podAt(server.port);
    const extensions = async (): Promise<number> =>
      Number(/cmdstat_pexpire:calls=(\d+)/.exec(String(await server.command('INFO', 'commandstats')))?.[1] ?? 0);
    const fill = async (): Promise<void> => {
      for (let index = 0; index < 50; index++) {
        await cache.set(`key${index}`, index, { ttl: '1h', tags: ['team'] });
      }
    };
    await fill();
    expect(await extensions()).toBeLessThanOrEqual(2); // the check of the user's rights sends two
    await server.command('PEXPIRE', 'cache:users:#tag:team', HOUR_MS / 2); // by now half of it is over
    await vi.waitFor(async () => {
      await fill();
      expect(Number(await server.command('PTTL', 'cache:users:#tag:team'))).toBeGreaterThan(HOUR_MS);
    });
    const before = await extensions();
    await fill();
    expect(await extensions()).toBeLessThanOrEqual(before + 1);
  });

  it('that one process extends costs the other processes no entry of L1', async () => {
    const { pods, lifeOf } = await podsOn(3);
    const [{ cache }] = pods as [Pod];
    await cache.set('key', 1, { ttl: '1h', tags: ['team'] });
    await Promise.all(pods.map((pod) => warm(pod)));
    await cache.set('other', 1, { ttl: '90d', tags: ['team'] });
    expect(await lifeOf('#tag:team')).toBeGreaterThan(90 * DAY_MS);
    await cache.set('marker', 1);
    await Promise.all(pods.map((pod) => warm(pod, 'marker')));
    await cache.delete('marker');
    await vi.waitFor(() => expect(pods.every((pod) => !holdsCopy(pod, 'marker'))).toBe(true));
    for (const pod of pods) {
      await pod.cache.get('key'); // which finds the same stamp
      expect(holdsCopy(pod, 'key')).toBe(true);
      expect(await pod.cache.lookup('key')).toMatchObject({ value: 1, tier: 'local' });
    }
  });

  it('that a former version has left without a TTL gets one', async () => {
    const { pods, lifeOf, redis } = await podsOn(1);
    const [{ cache }] = pods as [Pod];
    await redis.admin.set(`${redis.keyPrefix}:users:#tag:team`, '0-former');
    await vi.waitFor(async () => {
      await cache.set('key', 1, { ttl: '1h', tags: ['team'] });
      expect(await lifeOf('#tag:team')).toBeGreaterThan(HOUR_MS);
    });
    expect(await cache.get('key')).toBe(1);
  });

  it('is created anew after its expiry without superseding the load that adds the tag', async () => {
    const redis = redisForTest();
    const clock = new FakeClock(Date.now());
    const options = { redis: { url: redis.url }, keyPrefix: redis.keyPrefix };
    const { cache } = await podWith(options, { clock });
    const load = (): Promise<unknown> =>
      cache.getOrSet(
        'key',
        async (context) => {
          context.addTags('team');
          return 'value';
        },
        { ttl: '1m' },
      );
    await load();
    clock.advance(DAY_MS);
    await redis.admin.del(`${redis.keyPrefix}:users:#tag:team`);
    await load();
    expect(await cache.lookup('key')).toMatchObject({ state: 'fresh', value: 'value' });
  });
});

describe('stamps in use', () => {
  it('are read again at intervals, so that Redis does not treat them as unused', async () => {
    const server = await ownRedis();
    const pod = await podAt(server.port, { heartbeatMs: 200 });
    await pod.cache.set('key', 1, { tags: ['team'] });
    await warm(pod);
    await server.command('SET', 'unused', 1);
    const idleSeconds = async (key: string): Promise<number> => Number(await server.command('OBJECT', 'IDLETIME', key));
    await vi.waitFor(async () => expect(await idleSeconds('unused')).toBeGreaterThanOrEqual(3), 10_000);
    expect(await idleSeconds('cache:users:#clear')).toBeLessThan(2);
    expect(await idleSeconds('cache:users:#tag:team')).toBeLessThan(2);
  });
});
