import { describe, expect, expectTypeOf, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions, ValuesMode } from '../config/index.js';
import type { AsyncCache } from './async-cache.js';
import type { EntryOptions } from './entry-options.js';
import type { Found } from './outcomes.js';

interface User {
  name: string;
  lastLogin: Date | null;
  tags: string[];
  address: { city: string };
}

const user = (text = ''): User => ({ name: `Ada${text}`, lastLogin: null, tags: ['a'], address: { city: 'London' } });

class Counter {
  count = 0;
  next(): number {
    return ++this.count;
  }
}

class PrivateCounter extends Counter {
  #own = 0;
  override next(): number {
    return ++this.#own;
  }
}

const TIERS = ['memory only', 'Redis'] as const;

function cacheOf<T = User>(tiers: (typeof TIERS)[number], options: DistributedCacheOptions = {}): AsyncCache<T> {
  return cacheForTest(optionsOf(tiers, options)).getCache<T>('users');
}

function optionsOf(tiers: (typeof TIERS)[number], options: DistributedCacheOptions = {}): DistributedCacheOptions {
  const { url, keyPrefix } = redisForTest();
  return { redis: tiers === 'Redis' ? { url } : false, keyPrefix, deadlineMs: 5000, ...options };
}

/** Changes an object in the ways of the libraries that write into what they are given. */
function change(value: User): void {
  value.name = 'changed';
  value.tags.push('changed');
  Object.assign(value, { __typename: 'User', more: 1 });
  Object.assign(value.address, { city: 'changed' });
  delete (value as Partial<User>).lastLogin;
}

const CONTENTS: readonly (readonly [string, () => User])[] = [
  ['a small value', () => user()],
  ['a value of 511 characters', () => ofLength(511)],
  ['a value of 513 characters', () => ofLength(513)],
  ['a large value', () => user('x'.repeat(5000))],
  ['a compressed value', () => user('x'.repeat(300_000))],
  ['a value with a Date', () => ({ ...user(), lastLogin: new Date(0) })],
  ['a large value with a Date', () => ({ ...user('x'.repeat(5000)), lastLogin: new Date(0) })],
];

function ofLength(length: number): User {
  const value = user('x'.repeat(length - JSON.stringify(user()).length));
  expect(JSON.stringify(value).length).toBe(length);
  return value;
}

const READS: readonly [string, (cache: AsyncCache<User>, make: () => User) => Promise<User | undefined>][] = [
  ['getOrSet', (cache, make) => cache.getOrSet('key', make)],
  ['get', (cache) => cache.get('key')],
  ['lookup', async (cache) => ((await cache.lookup('key')) as Found<User>).value],
  ['getMany', async (cache) => (await cache.getMany(['key']))[0]],
  ['getOrSetMany', async (cache, make) => (await cache.getOrSetMany(['key'], () => [make()]))[0]],
];

describe.each(TIERS)('by default, over %s,', (tiers) => {
  describe.each(CONTENTS)('%s', (_name, make) => {
    it.each(READS)(
      'that %s returns can be changed, and the next caller does not see the change',
      async (_read, read) => {
        const cache = cacheOf(tiers);
        await cache.set('key', make());
        for (let time = 0; time < 4; time++) {
          const value = await read(cache, make);
          expect(value).toEqual(make());
          change(value as User);
        }
      },
    );

    it('that a loader has made can be changed by its caller', async () => {
      const cache = cacheOf(tiers);
      for (let time = 0; time < 4; time++) {
        const value = await cache.getOrSet('key', make);
        expect(value).toEqual(make());
        change(value);
      }
    });

    it('that was given to set stays as it is, and later changes of it reach no reader', async () => {
      const cache = cacheOf(tiers);
      const given = make();
      const setting = cache.set('key', given);
      change(given);
      await setting;
      expect(given.name).toBe('changed');
      expect(await cache.get('key')).toEqual(make());
    });

    it('that is read from Redis at once by many callers is another object for each', async () => {
      const options = optionsOf(tiers);
      const whole = cacheForTest(options);
      await whole.getCache<User>('users').set('key', make());
      const cache = (tiers === 'Redis' ? cacheForTest(options) : whole).getCache<User>('users');
      const batch = cache.getMany(['key', 'key']);
      const calls = Array.from({ length: 10 }, () => [cache.get('key'), cache.getOrSet('key', make)]);
      const reads = [...(await Promise.all(calls.flat())), ...(await batch)];
      expect(new Set(reads).size).toBe(reads.length);
      reads.forEach((read) => {
        expect(read).toEqual(make());
        change(read as User);
      });
    });
  });

  it('fifty concurrent callers each get an object of their own', async () => {
    const cache = cacheOf(tiers);
    const load = vi.fn(async () => user());
    const values = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const value = await cache.getOrSet('key', load);
        const seen = structuredClone(value);
        if (index % 3 === 0) {
          change(value);
        }
        return { value, seen };
      }),
    );
    expect(load).toHaveBeenCalledTimes(1);
    expect(new Set(values.map(({ value }) => value)).size).toBe(50);
    expect(new Set(values.map(({ value }) => value.address)).size).toBe(50);
    values.forEach(({ seen }) => expect(seen).toEqual(user()));
    expect(await cache.get('key')).toEqual(user());
  });

  it.each<[string, number, () => Counter]>([
    ['one load, when its properties are all of its state', 1, () => new Counter()],
    ['a load for each caller, when it can not be copied', 5, () => new PrivateCounter()],
  ])('concurrent callers do not share an instance that is not cached: %s', async (_title, loads, make) => {
    const cache = cacheOf<Counter>(tiers);
    const load = vi.fn(async (context: { skip(): void }) => {
      context.skip();
      return make();
    });
    const values = await Promise.all(Array.from({ length: 5 }, () => cache.getOrSet('key', load)));
    expect(values.map((value) => value.next())).toEqual([1, 1, 1, 1, 1]);
    expect(load).toHaveBeenCalledTimes(loads);
  });

  it.each<[string, EntryOptions<User>, (context: { skip(): void }) => void]>([
    ['cacheIf declines', { cacheIf: () => false }, () => {}],
    ['the loader skips', {}, (context) => context.skip()],
  ])('concurrent callers do not share a result that is not cached: %s', async (_name, options, decide) => {
    const cache = cacheOf(tiers);
    const load = vi.fn(async (context: { skip(): void }) => {
      decide(context);
      return user();
    });
    const values = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const value = await cache.getOrSet('key', load, options);
        const seen = structuredClone(value);
        change(value);
        return { value, seen };
      }),
    );
    expect(load).toHaveBeenCalledTimes(1);
    expect(new Set(values.map(({ value }) => value)).size).toBe(5);
    values.forEach(({ seen }) => expect(seen).toEqual(user()));
  });

  it('a given value may be changed while an asynchronous schema checks it', async () => {
    const cache = cacheOf(tiers);
    const validate = async (value: unknown) => {
      await new Promise((resolve) => setImmediate(resolve));
      return { value };
    };
    const schema = { '~standard': { version: 1 as const, vendor: 'test', validate } };
    const given = user();
    const setting = cache.set('key', given, { schema, validate: 'both' });
    change(given);
    expect(await setting).toBe(true);
    expect(await cache.get('key')).toEqual(user());
  });

  it('a stale value belongs to each caller, and to the loader', async () => {
    const cache = cacheOf(tiers, { namespaces: { users: { grace: '1h' } } });
    await cache.set('key', user());
    await cache.expire('key');
    for (let time = 0; time < 3; time++) {
      const value = await cache.getOrSet('key', ({ stale }) => {
        expect(stale).toEqual(user());
        change(stale as User);
        throw new Error('the source is down');
      });
      expect(value).toEqual(user());
      change(value);
    }
  });

  it('a batch gives equal keys objects of their own', async () => {
    const cache = cacheOf(tiers);
    for (let time = 0; time < 2; time++) {
      const [first, second] = await cache.getOrSetMany(['key', 'key'], (keys) => keys.map(() => user()));
      expect(first).not.toBe(second);
      change(first as User);
      expect(second).toEqual(user());
    }
  });

  it('shared references and cycles inside a value are kept', async () => {
    const cache = cacheOf<{ one: object; two: object; self?: unknown }>(tiers);
    const part = { a: 1 };
    for (let time = 0; time < 3; time++) {
      const value = await cache.getOrSet('key', () => {
        const made: { one: object; two: object; self?: unknown } = { one: part, two: part };
        made.self = made;
        return made;
      });
      expect(value.one).toBe(value.two);
      expect(value.self).toBe(value);
    }
  });
});

describe.each(TIERS)('in mode frozen, over %s,', (tiers) => {
  const options = { local: { values: 'frozen' as const } };

  it.each(CONTENTS)('the result throws on each change, whatever it holds: %s', async (_name, make) => {
    const cache = cacheOf(tiers, options);
    await cache.set('set', make());
    for (let time = 0; time < 3; time++) {
      for (const value of [await cache.getOrSet('key', make), await cache.get('set')]) {
        expect(value).toEqual(make());
        expect(() => Object.assign(value as User, { more: 1 })).toThrow(TypeError);
        expect(() => value?.tags.push('changed')).toThrow(TypeError);
        expect(() => ((value as User).address.city = 'changed')).toThrow(TypeError);
      }
    }
  });

  it.each(CONTENTS)('the given object is not frozen: %s', async (_name, make) => {
    const cache = cacheOf(tiers, options);
    const [set, loaded] = [make(), make()];
    await cache.set('set', set);
    await cache.getOrSet('key', () => loaded);
    change(set);
    change(loaded);
    expect(await cache.getMany(['set', 'key'])).toEqual([make(), make()]);
  });

  it('callers share one object', async () => {
    const cache = cacheOf(tiers, options);
    const values = await Promise.all(Array.from({ length: 5 }, () => cache.getOrSet('key', () => user())));
    expect(new Set([...values, await cache.get('key')]).size).toBe(1);
  });
});

describe('calls of one key that ask for different modes', () => {
  const MODES: readonly ValuesMode[] = ['cloned', 'frozen', 'shared'];
  const pairs = MODES.flatMap((first) => MODES.map((second) => [first, second] as const));

  it.each(pairs)('each get what they ask for: loaded as %s, read as %s', async (first, second) => {
    for (const tiers of TIERS) {
      const cache = cacheOf(tiers);
      const load = (values: ValuesMode): Promise<User> => cache.getOrSet('key', () => user(), { values });
      const together = await Promise.all([load(first), load(second), load(first), load(second)]);
      expect(together).toHaveLength(4);
      for (const [index, values] of [first, second, first, second].entries()) {
        check(together[index] as User, values);
      }
      for (const values of [second, first, second]) {
        check(await load(values), values);
      }
    }
  });

  function check(value: User, values: ValuesMode): void {
    expect(value).toEqual(user());
    expect(Object.isFrozen(value.address)).toBe(values === 'frozen' || (values === 'shared' && Object.isFrozen(value)));
    if (values === 'cloned') {
      change(value);
    }
  }

  it('take the option by its type', () => {
    expectTypeOf<EntryOptions['values']>().toEqualTypeOf<ValuesMode | undefined>();
  });
});

it.each(['development', 'production'])('the rule is the same in %s', async (environment) => {
  vi.stubEnv('NODE_ENV', environment);
  onTestFinished(() => void vi.unstubAllEnvs());
  const cache = cacheOf('memory only');
  for (let time = 0; time < 3; time++) {
    const value = await cache.getOrSet('key', () => user());
    expect(value).toEqual(user());
    change(value);
  }
});
