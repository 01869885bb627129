import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import { cacheForTest, cachesForTest } from '../../../../test/support/cache-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import { LoadCycleError } from '../errors/index.js';

const TIERS = [
  ['L1 alone', () => ({ redis: false as const })],
  ['Redis', () => ({ redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix })],
] as const;

/** A loader that counts its runs and returns their number. */
function counter() {
  let runs = 0;
  return vi.fn(async () => ++runs);
}

describe.each(TIERS)('bypass (%s)', (_tiers, options) => {
  function start() {
    const distributed = cacheForTest(options());
    return { distributed, users: distributed.getCache<number>('users'), lists: distributed.getCache<number>('lists') };
  }

  it('neither reads nor stores, in all namespaces, also in loaders and after an await', async () => {
    const { distributed, users, lists } = start();
    await users.set('a', -1);
    await lists.set('all', -2);
    const load = counter();
    const inside = await distributed.bypass(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return [
        await users.getOrSet('a', () => lists.getOrSet('all', load)),
        await users.getOrSet('new', load),
        await users.getOrSetMany(['a', 'new', 'a'], (keys) => keys.map(() => 0)),
        await users.get('a'),
        await users.getMany(['a', 'new']),
        await users.has('a'),
        await users.lookup('a'),
      ];
    });
    expect(inside).toEqual([1, 2, [0, 0, 0], undefined, [undefined, undefined], false, { state: 'miss' }]);
    expect([await users.get('a'), await lists.get('all'), await users.get('new')]).toEqual([-1, -2, undefined]);
  });

  it('leaves no outdated entry: what is set is deleted, and what is deleted stays deleted', async () => {
    const { distributed, users } = start();
    await users.setMany(['a', 'b', 'c'].map((key) => [key, -1] as const));
    await distributed.bypass(async () => {
      expect(await users.set('a', 1)).toBe(false);
      expect(await users.setMany([['b', 1]], { version: 2 })).toBe(false);
      expect(await users.delete('c')).toBe(true);
    });
    expect(await users.getMany(['a', 'b', 'c'])).toEqual([undefined, -1, undefined]);
  });

  it('concerns its own calls alone, and ends with its work', async () => {
    const { distributed, users } = start();
    await users.set('a', -1);
    let later: Promise<number> | undefined;
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const bypassed = distributed.bypass(async () => {
      later = gate.then(() => users.getOrSet('a', async () => 2));
      return users.getOrSet('a', async () => 1);
    });
    expect(await users.getOrSet('a', async () => 3)).toBe(-1);
    expect(await bypassed).toBe(1);
    release();
    expect(await later).toBe(-1);
    expect(() => distributed.bypass(() => { throw new TypeError('no database'); })).toThrow(TypeError); // prettier-ignore
    await expect(distributed.bypass(() => Promise.reject(new TypeError('late')))).rejects.toThrow('late');
    expect(await users.get('a')).toBe(-1);
    expect(distributed.bypass(() => 7)).toBe(7);
    expectTypeOf(distributed.bypass(() => users.get('a'))).toEqualTypeOf<Promise<number | undefined>>();
    expectTypeOf(distributed.refresh(() => 7)).toEqualTypeOf<number>();
  });

  it('concerns one cache of the process', async () => {
    const { distributed, users } = start();
    const other = cacheForTest(options()).getCache<number>('others');
    await other.set('a', -1);
    await users.set('a', -1);
    expect(await distributed.bypass(() => other.get('a'))).toBe(-1);
  });
});

describe.each(TIERS)('refresh (%s)', (_tiers, options) => {
  function start() {
    const distributed = cacheForTest(options());
    return { distributed, users: distributed.getCache<number>('users'), lists: distributed.getCache<number>('lists') };
  }

  it('loads anew and stores, in all namespaces, each entry once, also in loaders', async () => {
    const { distributed, users, lists } = start();
    await users.set('a', -1);
    await lists.set('all', -2);
    const load = counter();
    const list = () => lists.getOrSet('all', load);
    expect(
      await distributed.refresh(() => Promise.all([users.getOrSet('a', list), list(), users.getOrSet('a', list)])),
    ).toEqual([1, 1, 1]);
    expect(await users.getOrSet('a', load)).toBe(1);
    expect([await lists.get('all'), load.mock.calls.length]).toEqual([1, 1]);
  });

  it('loads the keys of a batch anew, by one call of its loader', async () => {
    const { distributed, users } = start();
    await users.set('a', -1);
    const load = vi.fn((keys: string[]) => keys.map((key) => ({ a: 1, b: 2 })[key] ?? 0));
    expect(await distributed.refresh(() => users.getOrSetMany(['a', 'b', 'a'], load))).toEqual([1, 2, 1]);
    expect([await users.getMany(['a', 'b']), load.mock.calls.length]).toEqual([[1, 2], 1]);
  });

  it('lets reads without a loader find nothing until the entry is renewed', async () => {
    const { distributed, users } = start();
    await users.setMany(['a', 'b'].map((key) => [key, -1] as const));
    await distributed.refresh(async () => {
      expect([await users.get('a'), await users.has('a'), await users.getMany(['a', 'b'])]).toEqual([
        undefined,
        false,
        [undefined, undefined],
      ]);
      expect(await users.set('a', 1)).toBe(true);
      expect([await users.get('a'), await users.getMany(['a', 'b'])]).toEqual([1, [1, undefined]]);
    });
    expect(await users.getMany(['a', 'b'])).toEqual([1, -1]);
  });

  it('is an option of one call, too', async () => {
    const { users } = start();
    const load = counter();
    const values = [await users.getOrSet('a', load), await users.getOrSet('a', load)];
    values.push(
      await users.getOrSet('a', load, { refresh: true }),
      await users.getOrSet('a', load, { refresh: false }),
    );
    expect(values).toEqual([1, 1, 2, 2]);
    expect(await users.getOrSetMany(['a'], () => [9], { refresh: true })).toEqual([9]);
    expect(await users.get('a')).toBe(9);
    expect(await users.getOrSet('b', load, { refresh: true, version: 2 })).toBe(3);
  });

  it('leaves the entry to others meanwhile, and for good when the loader fails, whose error arrives', async () => {
    const { users } = start();
    await users.set('a', -1);
    let fail = (_error: Error): void => {};
    const failing = users.getOrSet('a', () => new Promise((_resolve, reject) => (fail = reject)), { refresh: true });
    await vi.waitFor(() => expect(fail.name).toBe('')); // the loader runs
    expect(await users.get('a')).toBe(-1);
    expect(await users.getOrSet('a', async () => 5)).toBe(-1);
    const error = new Error('no database');
    fail(error);
    await expect(failing).rejects.toBe(error);
    expect(await users.get('a')).toBe(-1);
  });

  it('joins no load that began before, whose result is not kept, whichever ends first', async () => {
    for (const order of [
      ['old', 'new'],
      ['new', 'old'],
    ] as const) {
      const { users } = start();
      const key = order.join();
      const gates: Record<string, (value: number) => void> = {};
      const load = (name: string) => () => new Promise<number>((resolve) => (gates[name] = resolve));
      const old = users.getOrSet(key, load('old'));
      await vi.waitFor(() => expect(gates).toHaveProperty('old'));
      const renewed = users.getOrSet(key, load('new'), { refresh: true });
      const finish = async (name: string) => {
        // With Redis, the older load has the lease of the key, so the refresh begins when it has ended.
        await vi.waitFor(() => expect(gates).toHaveProperty(name));
        gates[name]?.(name === 'old' ? 1 : 2);
      };
      if (_tiers === 'Redis' || order[0] === 'old') {
        await finish('old');
        await finish('new');
      } else {
        await finish('new');
        await renewed;
        await finish('old');
      }
      expect(await Promise.all([old, renewed])).toEqual([1, 2]);
      expect(await users.get(key)).toBe(2);
    }
  });

  it('stores nothing when the key changes while its loader runs', async () => {
    const { users } = start();
    await users.set('a', -1);
    const renewed = users.getOrSet(
      'a',
      async () => {
        await users.delete('a');
        return 1;
      },
      { refresh: true },
    );
    expect(await renewed).toBe(1);
    expect(await users.get('a')).toBeUndefined();
  });

  it('reports a loader that requests its own key, instead of running it for ever', async () => {
    const { distributed, users } = start();
    const own = (refresh: boolean): Promise<number> => users.getOrSet('a', () => own(refresh), { refresh });
    await expect(own(true)).rejects.toThrow(LoadCycleError);
    await expect(distributed.refresh(() => own(false))).rejects.toThrow(LoadCycleError);
  });

  it('inside a bypass counts for its calls, and the other way round', async () => {
    const { distributed, users } = start();
    const load = counter();
    await distributed.bypass(async () => {
      await users.getOrSet('a', load);
      expect(await distributed.refresh(() => users.getOrSet('a', load))).toBe(2);
      expect(await users.get('a')).toBeUndefined();
    });
    expect(await users.get('a')).toBe(2);
    await distributed.refresh(() => distributed.bypass(() => users.getOrSet('a', load)));
    expect(await users.get('a')).toBe(2);
  });

  it('keeps the asynchronous context of the caller', async () => {
    const { distributed, users } = start();
    const request = new AsyncLocalStorage<number>();
    const load = async () => request.getStore() ?? 0;
    expect(await request.run(7, () => distributed.refresh(() => users.getOrSet('a', load)))).toBe(7);
  });
});

describe('a refresh among processes', () => {
  const options = () => ({ redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix });

  it('is what every process reads afterwards', async () => {
    const [here, there] = await cachesForTest(2, options());
    await here?.set('a', 1);
    expect(await there?.get('a')).toBe(1);
    expect(await here?.getOrSet('a', async () => 2, { refresh: true })).toBe(2);
    await vi.waitFor(async () => expect(await there?.get('a')).toBe(2));
  });

  it('waits for the load of another process, and then loads anew', async () => {
    const [here, there] = await cachesForTest(2, options());
    let end = (_value: number): void => {};
    const old = there?.getOrSet('a', () => new Promise<number>((resolve) => (end = resolve)));
    await vi.waitFor(() => expect(end.name).toBe(''));
    const load = vi.fn(async () => 2);
    const renewed = here?.getOrSet('a', load, { refresh: true });
    await vi.waitFor(async () => expect((await here?.inspect('a'))?.redis).toBeDefined());
    expect(load).not.toHaveBeenCalled();
    end(1);
    expect([await old, await renewed]).toEqual([1, 2]);
    await vi.waitFor(async () => expect(await there?.get('a')).toBe(2));
  });

  it('is not kept when another process deletes the key meanwhile', async () => {
    const [here, there] = await cachesForTest(2, options());
    await here?.set('a', 1);
    const load = async () => {
      await there?.delete('a');
      return 2;
    };
    expect(await here?.getOrSet('a', load, { refresh: true })).toBe(2);
    expect([await here?.get('a'), await there?.get('a')]).toEqual([undefined, undefined]);
  });
});
