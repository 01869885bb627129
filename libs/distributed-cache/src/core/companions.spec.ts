import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import { cacheForTest, cachesForTest } from '../../../../test/support/cache-for-test.js';
import { ownRedis, sharedRedis } from '../../../../test/support/redis-for-test.js';
import { watchedPods } from '../../../../test/support/watched-pods.js';
import type { CompanionOptions, NamespaceOptions } from '../config/index.js';
import type { AsyncCache } from './async-cache.js';
import { Companions } from './companions.js';
import type { LocalTier } from './local-tier.js';
import { CacheContext } from './vary-by.js';

const SETTINGS = { confidence: 0.5, most: 4 };
const KEYS = ['a', 'b', 'c'];
const WITH_COMPANIONS = { namespaces: { users: { companions: true } }, consistencyChecks: false } as const;

/** A learner, what it has counted, and a way to miss keys one after the other. */
function learner(settings = SETTINGS, localEntries = 1000) {
  const counts = { read: 0, used: 0, wasted: 0 };
  const companions = new Companions(
    settings,
    () => localEntries,
    (what) => counts[what]++,
  );
  const miss = (key: string) => companions.after(key, () => true);
  return { companions, counts, miss, missAll: (...keys: string[]) => keys.forEach(miss) };
}

/** The copies of these keys leave L1, as if others had needed the memory. */
function evict(cache: AsyncCache, keys = KEYS): void {
  const { local } = cache as unknown as { local: LocalTier };
  keys.forEach((key) => local.delete(key));
}

/** Asks for keys that are in Redis, one after the other, as L1 does not have them. */
async function session(cache: AsyncCache, keys = KEYS): Promise<void> {
  evict(cache, keys);
  for (const key of keys) {
    expect(await cache.get(key)).toBe(key);
  }
}

async function fill(cache: AsyncCache, keys = KEYS): Promise<void> {
  await cache.setMany(keys.map((key) => [key, key]));
}

describe('what the companions of a key are', () => {
  it('the keys that were missed within the next four misses, twice at least and in half of the cases', () => {
    const { miss, missAll } = learner();
    missAll('a', 'b', 'c', 'x1', 'x2', 'far', 'y1', 'y2', 'y3');
    expect(miss('a')).toEqual([]);
    missAll('b', 'c', 'x3', 'x4', 'far', 'y4', 'y5', 'y6');
    expect(miss('a').map(({ key }) => key)).toEqual(['b', 'c']);
  });

  it('at most as many as the option says, and the most frequent first', () => {
    const { miss, missAll } = learner({ confidence: 0.1, most: 1 });
    for (let round = 0; round < 6; round++) {
      missAll('a', ...(round % 2 === 0 ? ['sometimes'] : []), 'always', 'x', 'y', 'z', `${round}`);
    }
    expect(miss('a').map(({ key }) => key)).toEqual(['always']);
  });

  it('no longer those that are read for nothing', () => {
    const { miss, missAll } = learner();
    for (let round = 0; round < 3; round++) {
      missAll('a', 'b', ...[1, 2, 3, 4].map((each) => `${each}:${round}`));
    }
    let last = 0;
    for (let round = 0; round < 40; round++) {
      const companions = miss('a');
      companions.forEach((each) => each.onJudged(false));
      last = companions.length === 0 ? last : round;
      missAll(...[1, 2, 3, 4].map((each) => `none ${each}:${round}`));
    }
    expect(last).toBeLessThan(10);
  });

  it('learned within each request that runs in CacheContext.run, however many run at once', async () => {
    const { miss } = learner();
    const request = (user: string): Promise<string[]> =>
      CacheContext.run({ user }, async () => {
        const found = miss(`${user}:a`).map(({ key }) => key);
        await nextTurn();
        miss(`${user}:b`);
        return found;
      });
    const users = Array.from({ length: 30 }, (_, user) => `${user}`);
    const round = (): Promise<string[][]> => Promise.all(users.map(request));
    const found = [await round(), await round(), await round()].flat(2);
    expect(found.length).toBeGreaterThan(25); // rows that collide are learned later
    expect(found.filter((key) => !key.endsWith(':b'))).toEqual([]);
    expect(new Set(found).size).toBe(found.length);
  });

  it('known of as many keys as twenty times the entries of L1 at most, after a million keys', () => {
    const { companions } = learner(SETTINGS, 1000);
    for (let index = 0; index < 1_000_000; index++) {
      companions.learn(`key:${index}`);
    }
    expect(companions.rows).toBeGreaterThan(5000);
    expect(companions.rows).toBeLessThanOrEqual(20_000);
  });
});

describe('companions stop by themselves', () => {
  /** @returns how many of 50 sessions read companions */
  const sessionsThatRead = ({ miss, missAll }: ReturnType<typeof learner>, isUsed: boolean): number => {
    let count = 0;
    for (let index = 0; index < 50; index++) {
      missAll('x', 'y', 'z', 'w');
      const found = miss(`a${index % 10}`);
      found.forEach((each) => each.onJudged(isUsed));
      count += found.length > 0 ? 1 : 0;
      missAll(`b${index % 10}`);
    }
    return count;
  };

  it('while less than half of the last ones were used, except for one of fifty, and go on when they are used again', () => {
    const each = learner({ confidence: 0.1, most: 1 });
    for (let round = 0; round < 3; round++) {
      sessionsThatRead(each, true);
    }
    expect(sessionsThatRead(each, true)).toBe(50);
    for (let round = 0; round < 200; round++) {
      sessionsThatRead(each, false);
    }
    expect(sessionsThatRead(each, false)).toBeLessThanOrEqual(1);
    for (let round = 0; round < 2000; round++) {
      sessionsThatRead(each, true);
    }
    expect(sessionsThatRead(each, true)).toBe(50);
  });
});

describe('a namespace with companions', () => {
  it('reads them in the same command as the key, and L1 answers when they are asked for', async () => {
    const { cache, other, commandsFor } = await watchedPods(WITH_COMPANIONS);
    await fill(other);
    await session(cache);
    await session(cache);
    const before = (await commandsFor('b')).length;
    const { localHits } = cache.getMetrics();
    await session(cache);
    expect((await commandsFor('a')).at(-1)).toBe('mget');
    expect((await commandsFor('b')).slice(before)).toEqual(['mget']);
    expect(cache.getMetrics()).toMatchObject({ companionPrefetches: 2, localHits: localHits + 2 });
    evict(cache);
    expect(cache.getMetrics()).toMatchObject({ companionPrefetchesUsed: 2, companionPrefetchesWasted: 0 });
  });

  it('does so in getOrSet too, and runs no loader for a companion that Redis does not have', async () => {
    const [cache, other] = (await cachesForTest(2, { ...sharedRedis(), ...WITH_COMPANIONS })) as [
      AsyncCache,
      AsyncCache,
    ];
    const loader = vi.fn(async () => 'loaded');
    await fill(other);
    for (let round = 0; round < 2; round++) {
      evict(cache);
      for (const key of KEYS) {
        expect(await cache.getOrSet(key, loader)).toBe(key);
      }
    }
    await other.delete('b');
    evict(cache);
    expect(await cache.getOrSet('a', loader)).toBe('a');
    await vi.waitFor(() =>
      expect(cache.getMetrics()).toMatchObject({ companionPrefetches: 2, companionPrefetchesWasted: 1 }),
    );
    expect(loader).not.toHaveBeenCalled();
    expect(await cache.lookup('c')).toMatchObject({ tier: 'local' });
    expect(await cache.getOrSet('b', loader)).toBe('loaded');
  });

  it('reads them on a Redis that allows GET and not MGET, and counts no fault for them', async () => {
    const server = await ownRedis();
    await server.command('ACL', 'SETUSER', 'default', '-mget');
    const [cache, other] = (await cachesForTest(2, { redis: { url: server.url }, ...WITH_COMPANIONS })) as [
      AsyncCache,
      AsyncCache,
    ];
    await fill(other);
    await session(cache);
    await session(cache);
    await session(cache);
    await vi.waitFor(async () => expect(await cache.lookup('c')).toMatchObject({ tier: 'local' }));
    expect(cache.getMetrics()).toMatchObject({ companionPrefetches: 2, errors: 0 });
  });

  it('reads none without the option, and learns nothing', async () => {
    const [cache, other] = (await cachesForTest(2, sharedRedis())) as [AsyncCache, AsyncCache];
    await fill(other);
    await session(cache);
    await session(cache);
    await session(cache);
    expect(cache.getMetrics()).toMatchObject({ companionPrefetches: 0 });
  });
});

it('the option is a switch, or says how sure and how many', () => {
  expectTypeOf<NamespaceOptions['companions']>().toEqualTypeOf<boolean | CompanionOptions | undefined>();
  expectTypeOf<CompanionOptions>().toEqualTypeOf<{ confidence?: number; most?: number }>();
  const config = (companions: unknown) =>
    cacheForTest({ redis: false, namespaces: { users: { companions } as NamespaceOptions } }).config.namespace('users');
  expect(config(undefined).companions).toBe(false);
  expect(config(false).companions).toBe(false);
  expect(config(true).companions).toEqual({ confidence: 0.5, most: 4 });
  expect(config({ most: 2 }).companions).toEqual({ confidence: 0.5, most: 2 });
  expect(() => config({ most: 5 })).toThrow(/namespaces\.users\.companions\.most.*from 1 to 4/);
  expect(() => config({ sure: 1 })).toThrow(/namespaces\.users\.companions\.sure/);
  expect(() => config('yes')).toThrow(/namespaces\.users\.companions/);
});
