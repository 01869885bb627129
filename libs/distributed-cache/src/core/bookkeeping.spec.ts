import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import { cacheForTest, untilLocal } from '../../../../test/support/cache-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import { FakeClock } from '../testing/fake-clock.js';
import type { CacheEventMap } from '../events/index.js';
import type { AsyncCache } from './async-cache.js';
import type { EntryOptions, LoaderContext } from './entry-options.js';

const TIERS = [
  ['L1 alone', () => ({ redis: false as const })],
  ['Redis', () => ({ redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix })],
] as const;

interface Token {
  readonly expiresIn: number;
}

const failure = new TypeError('not the value, only the option is wrong');
const fail = (): never => {
  throw failure;
};

/** Functions of the options that go wrong, and what is told of each. */
const MISTAKES: Record<string, { options: EntryOptions<Token>; reason: string; error?: unknown }> = {
  'a ttl function that gives 0': {
    options: { ttl: ({ expiresIn }) => expiresIn - 60 },
    reason: 'its ttl is not longer than 0',
  },
  'a ttl function that gives less than 0': {
    options: { ttl: ({ expiresIn }) => expiresIn - 100 },
    reason: 'its ttl is not a duration',
  },
  'a ttl function that throws': { options: { ttl: fail }, reason: 'ttl threw TypeError' },
  'a ttl function that returns a promise': {
    options: { ttl: (async () => fail()) as unknown as () => number },
    reason: 'its ttl is not a duration',
  },
  'a cacheIf that throws': { options: { cacheIf: fail }, reason: 'cacheIf threw TypeError' },
  'a cacheIf that returns a promise': {
    options: { cacheIf: (async () => fail()) as unknown as () => boolean },
    reason: 'The value is not cached: cacheIf returned a promise, write a function that is not async',
  },
};

describe.each(TIERS)('a call that has succeeded (%s)', (_tiers, tiers) => {
  function tokens(): { cache: AsyncCache<Token>; told: CacheEventMap['valueRefused'][] } {
    const all = cacheForTest(tiers());
    const told: CacheEventMap['valueRefused'][] = [];
    all.events.on('valueRefused', (event) => void told.push(event));
    return { cache: all.getCache<Token>('tokens'), told };
  }

  const token: Token = { expiresIn: 60 };

  it.each(Object.entries(MISTAKES))(
    'returns its result after %s: the result is not kept, and that is told',
    async (_what, { options, reason }) => {
      const { cache, told } = tokens();
      const load = vi.fn(async () => token);
      expect(await cache.getOrSet('key', load, options)).toBe(token);
      expect(await cache.getOrSetMany(['many'], async () => [token], options)).toEqual([token]);
      expect(await cache.lookup('key')).toEqual({ state: 'miss' });
      expect(told).toMatchObject([
        { namespace: 'tokens', key: 'key', reason: expect.stringContaining(reason) as unknown },
        { key: 'many', reason: expect.stringContaining(reason) as unknown },
      ]);
      expect(load).toHaveBeenCalledTimes(1);
    },
  );

  it.each(Object.entries(MISTAKES))(
    'of set is false after %s, and the previous value is dropped',
    async (_what, { options, reason }) => {
      const { cache, told } = tokens();
      for (const setting of [() => cache.set('key', token, options), () => cache.setMany([['key', token]], options)]) {
        await cache.set('key', { expiresIn: 3600 });
        told.length = 0;
        expect(await setting()).toBe(false);
        expect(told).toMatchObject([{ key: 'key', reason: expect.stringContaining(reason) as unknown }]);
        expect(await cache.lookup('key')).toEqual({ state: 'miss' });
      }
    },
  );

  it('names what a function threw in the event', async () => {
    const { cache, told } = tokens();
    await cache.getOrSet('key', () => token, { cacheIf: fail });
    expect(told[0]?.error).toBe(failure);
  });

  it.each<[string, (context: LoaderContext) => void]>([
    ['0', (context) => context.setTtl(0)],
    ['a text that is not a duration', (context) => context.setTtl('soon' as unknown as number)],
  ])('returns its result after setTtl with %s', async (_what, decide) => {
    const { cache, told } = tokens();
    const load = async (context: LoaderContext): Promise<Token> => {
      decide(context);
      return token;
    };
    expect(await cache.getOrSet('key', load)).toBe(token);
    expect(told).toMatchObject([{ key: 'key', reason: expect.stringContaining('its ttl is not') as unknown }]);
  });

  it('is not told when cacheIf refuses the result, as it should; set drops the previous value then', async () => {
    const { cache, told } = tokens();
    expect(await cache.getOrSet('key', () => token, { cacheIf: () => false })).toBe(token);
    await cache.set('key', { expiresIn: 3600 });
    expect(await cache.set('key', token, { cacheIf: () => false })).toBe(false);
    expect(await cache.get('key')).toBeUndefined();
    await cache.set('key', { expiresIn: 3600 });
    expect(await cache.setMany([['key', token]], { cacheIf: () => false })).toBe(false);
    expect(await cache.get('key')).toBeUndefined();
    expect(told).toEqual([]);
  });

  it('gives its own error to the caller when staleIf throws', async () => {
    const { cache } = tokens();
    const error = new Error('no database');
    await cache.expire('key');
    await expect(cache.getOrSet('key', () => Promise.reject(error), { staleIf: fail })).rejects.toBe(error);
  });
});

it('a ttl that is not a duration is refused before the loader runs', async () => {
  const cache = cacheForTest({ redis: false }).getCache('users');
  const load = vi.fn(() => 'not asked');
  for (const ttl of [0, -1, 'soon', NaN, null]) {
    await expect(cache.getOrSet('key', load, { ttl: ttl as number })).rejects.toThrow(/duration|ttl/);
  }
  await expect(cache.getOrSet('key', load, { grace: 'soon' as unknown as number })).rejects.toThrow('duration');
  expect(load).not.toHaveBeenCalled();
});

it('the types refuse an async cacheIf and an async ttl function', () => {
  expectTypeOf<() => Promise<boolean>>().not.toExtend<NonNullable<EntryOptions['cacheIf']>>();
  expectTypeOf<() => Promise<number>>().not.toExtend<NonNullable<EntryOptions['ttl']>>();
});

describe.each(TIERS)('the load time of a value (%s)', (_tiers, tiers) => {
  it('counts as saved with each hit of either tier, and ranks its entry', async () => {
    const clock = new FakeClock();
    const first = cacheForTest(tiers(), { clock }).getCache('users');
    const slow = async (): Promise<string> => {
      clock.advance(250);
      return 'Ada';
    };
    await first.getOrSet('slow', slow);
    await first.set('set', 'no loader has run');
    await untilLocal(first, 'slow');
    await untilLocal(first, 'set');
    const savedBefore = first.getMetrics().loadSecondsSaved;
    await first.get('slow');
    await first.getOrSet('slow', slow);
    await first.get('set');
    const { loadSecondsSaved } = first.getMetrics();
    expect(loadSecondsSaved - savedBefore).toBeCloseTo(0.5);
    const [top] = first.topEntries('savedMs', 1);
    expect(top).toMatchObject({ key: 'slow', loadMs: 250, savedMs: loadSecondsSaved * 1000 });
  });
});

it('counts the load time that another process has spent as saved by a hit of Redis', async () => {
  const clock = new FakeClock();
  const options = { redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix };
  const [first, second] = [0, 1].map(() => cacheForTest(options, { clock }).getCache('users'));
  await first?.getOrSet('key', async () => clock.advance(250));
  expect(await second?.lookup('key')).toMatchObject({ tier: 'redis' });
  expect(second?.getMetrics().loadSecondsSaved).toBe(0.25);
});
