import { beforeEach, describe, expect, it } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import { LoadCycleError } from '../errors/index.js';
import type { AsyncCache } from './async-cache.js';
import type { CacheEnvironment } from './distributed-cache.js';
import { loadScopes } from './loader-run.js';

const TIERS = [
  ['L1 alone', () => ({ redis: false as const })],
  ['Redis', () => ({ redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix })],
] as const;

/** As in a new process: loads of other tests in this process do not count. */
beforeEach(() => loadScopes.suspect(60_000));

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Loaders that request the next key of a ring, each after some work of its own. */
function ring(
  cache: AsyncCache,
  keys: readonly string[],
  work: () => Promise<void>,
): (key: string) => Promise<unknown> {
  const next = (key: string): string => keys[(keys.indexOf(key) + 1) % keys.length] as string;
  const ask = (key: string): Promise<unknown> =>
    cache.getOrSet(key, async () => {
      await work();
      return ask(next(key));
    });
  return ask;
}

describe.each(TIERS)('a load that waits for its own result (%s)', (_tiers, options) => {
  function users(environment?: CacheEnvironment): AsyncCache {
    return cacheForTest(options(), environment).getCache('users');
  }

  it.each<[string, readonly string[]]>([
    ['its own key', ['p']],
    ['a key whose loader requests the first key', ['p', 'q']],
    ['a longer ring', ['p', 'q', 'r', 's']],
  ])('rejects with an error that names the keys: %s', async (_what, keys) => {
    const names = [...keys, 'p'].map((key) => `users:${key}`);
    for (const work of [async () => {}, turn]) {
      const error = await ring(users(), keys, work)('p').catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(LoadCycleError);
      expect(error).toMatchObject({ code: 'CACHE_LOAD_CYCLE', keys: names });
      expect(String(error)).toContain(names.join(' -> '));
    }
  });

  it('rejects when several calls close the ring at the same time', async () => {
    const ask = ring(users(), ['p', 'q', 'r'], turn);
    const outcomes = await Promise.allSettled([ask('p'), ask('q'), ask('r')]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(outcomes.every((each) => each.status === 'rejected' && each.reason instanceof LoadCycleError)).toBe(true);
  });

  it('is not found between the keys of a large batch, of which the later ones begin when earlier ones are decided', async () => {
    const cache = users();
    const keys = Array.from({ length: 2001 }, (_, index) => `key:${index}`);
    const batch = cache.getOrSetMany(keys, async (missing) => missing);
    const last = cache.getOrSet('key:2000', async () => cache.getOrSet('key:0', async () => 'unused'));
    expect(await last).toBe('key:0');
    expect((await batch).at(-1)).toBe('key:0');
  });

  it('rejects in a batch that requests one of its own keys', async () => {
    const cache = users();
    const loading = cache.getOrSetMany(['a', 'b', 'c'], async (missing) => {
      await turn();
      const first = await cache.getOrSet('a', () => 'never asked');
      return missing.map(() => first);
    });
    await expect(loading).rejects.toBeInstanceOf(LoadCycleError);
  });

  it('does not reject where the keys of the loaders form no ring', async () => {
    const cache = users();
    const leaf = (key: string) => cache.getOrSet(key, async () => (await turn(), key));
    const both = (key: string) =>
      cache.getOrSet(key, async () => (await turn(), (await Promise.all([leaf('a'), leaf('b'), leaf('a')])).join('')));
    expect(await Promise.all([both('x'), both('y'), leaf('b'), both('x')])).toEqual(['aba', 'aba', 'b', 'aba']);
  });

  it('does not reject for a call that the loader has started but does not await, once the load is over', async () => {
    const cache = users();
    let later: Promise<unknown> | undefined;
    const load = async (): Promise<string> => {
      later = turn()
        .then(turn)
        .then(() => cache.delete('p'))
        .then(() => cache.getOrSet('p', () => 'second'));
      return 'first';
    };
    expect(await cache.getOrSet('p', load)).toBe('first');
    expect(await later).toBe('second');
  });

  it('rejects with that error at the time limit of a load where its calls are not tracked', async () => {
    const cache = users({ loadLifeMs: 200, leaseMs: 100 });
    const fillers = Array.from({ length: 200 }, (_, index) => cache.getOrSet(`filler:${index}`, () => index));
    await Promise.all(fillers);
    loadScopes.suspect(0);
    const error = await ring(cache, ['p', 'q'], turn)('p').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LoadCycleError);
  });
});
