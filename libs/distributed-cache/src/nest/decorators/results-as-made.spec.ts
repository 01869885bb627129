import { Injectable } from '@nestjs/common';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { redisForTest } from '../../../../../test/support/redis-for-test.js';
import { ConfigurationError, type ValuesMode } from '../../core/index.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { CachePut } from './cache-put.decorator.js';
import { Cached } from './cached.decorator.js';
import { CachedMany } from './cached-many.decorator.js';
import type { CachedOptions } from './decorator-options.js';

interface Cat {
  name: string;
  age: number;
}

/** The service of Nest's documentation, with a cache in front of `findAll`. */
@Injectable()
class CatsService {
  private readonly cats: Cat[] = [];

  @CacheEvict({ namespace: 'cats', all: true })
  async create(cat: Cat): Promise<void> {
    this.cats.push(cat);
  }

  @Cached({ namespace: 'cats' })
  async findAll(): Promise<Cat[]> {
    return this.cats;
  }

  @CachedMany({ namespace: 'cats', key: (name: string) => `cat:${name}` })
  async findMany(names: readonly string[]): Promise<readonly Cat[]> {
    return names.map((name) => ({ name, age: 1 }));
  }

  @CachePut({ namespace: 'cats', key: (name: string, _age: number) => `cat:${name}` })
  async save(name: string, age: number): Promise<Cat> {
    return { name, age };
  }

  @Cached({ namespace: 'cats', values: 'frozen' })
  async frozen(name: string): Promise<Cat & { born: Date | null }> {
    return { name, age: 1, born: name === 'Tom' ? null : new Date(0) };
  }

  @CachedMany({ namespace: 'cats', key: (name: string) => `frozen:${name}`, values: 'frozen' })
  async frozenMany(names: readonly string[]): Promise<readonly Cat[]> {
    return names.map((name) => ({ name, age: 1 }));
  }

  @Cached({ namespace: 'cats', values: 'shared', key: (name: string) => `shared:${name}` })
  async shared(name: string): Promise<Cat> {
    return { name, age: 1 };
  }
}

const TIERS = ['memory only', 'Redis'] as const;

async function catsOver(tiers: (typeof TIERS)[number]): Promise<CatsService> {
  const { url, keyPrefix } = redisForTest();
  const cache = { redis: tiers === 'Redis' ? { url } : (false as const), keyPrefix };
  return (await nestForTest({ providers: [CatsService], cache })).get(CatsService);
}

describe.each(TIERS)('the result of a decorated method behaves as one that was just made (%s):', (tiers) => {
  it("the CatsService of Nest's documentation works, and its callers may add to its list", async () => {
    const cats = await catsOver(tiers);
    await cats.create({ name: 'Tom', age: 3 });
    expect(await cats.findAll()).toHaveLength(1);
    await cats.create({ name: 'Kit', age: 1 });
    const names = ['Tom', 'Kit'];
    for (let time = 0; time < 3; time++) {
      const all = await cats.findAll();
      expect(all.map(({ name }) => name).slice(0, 2)).toEqual(names);
      expect(all).toHaveLength(2);
      if (time > 0) {
        all.push({ name: 'Stray', age: 2 }); // of the copies; the first caller has the list of the service itself
      }
    }
  });

  it('a GraphQL gateway may write `__typename`, a mapper may assign, and a merge changes what it is given', async () => {
    const cats = await catsOver(tiers);
    for (let time = 0; time < 3; time++) {
      const [cat] = await cats.findMany(['Tom']);
      expect(cat).toEqual({ name: 'Tom', age: 1 });
      Object.defineProperty(cat, '__typename', { value: 'Cat', enumerable: true });
      Object.assign(cat as Cat, { age: 2 });
      expect(cat).toEqual({ name: 'Tom', age: 2, __typename: 'Cat' });
    }
  });

  it('what @CachePut returns may be changed', async () => {
    const cats = await catsOver(tiers);
    const saved = await cats.save('Tom', 5);
    saved.age = 6;
    expect(await cats.findMany(['Tom'])).toEqual([{ name: 'Tom', age: 5 }]);
  });

  it('`values` of one decorator: frozen, whatever the result holds, or shared', async () => {
    const cats = await catsOver(tiers);
    for (let time = 0; time < 3; time++) {
      for (const cat of [await cats.frozen('Tom'), await cats.frozen('Kit'), ...(await cats.frozenMany(['Ned']))]) {
        expect(() => (cat.age = 2)).toThrow(TypeError);
      }
    }
    expect(await cats.frozen('Tom')).toBe(await cats.frozen('Tom'));
    expect(await cats.shared('Tom')).toBe(await cats.shared('Tom'));
    (await cats.shared('Tom')).age = 7;
    expect(await cats.shared('Tom')).toEqual({ name: 'Tom', age: 7 });
  });
});

describe.each(TIERS)('`flatten` of one decorator (%s)', (tiers) => {
  class Money {
    readonly #cents: number;
    constructor(
      readonly currency: string,
      cents: number,
    ) {
      this.#cents = cents;
    }
    get cents(): number {
      return this.#cents;
    }
  }
  @Injectable()
  class Prices {
    runs = 0;
    @Cached({ namespace: 'prices', flatten: true })
    async one(_id: number): Promise<Money> {
      return new Money('EUR', ++this.runs);
    }
    @CachedMany({ namespace: 'prices', key: (id: number) => `${id}`, flatten: true })
    async many(ids: readonly number[]): Promise<Money[]> {
      return ids.map(() => new Money('USD', ++this.runs));
    }
    @CachePut({ namespace: 'prices', key: (id: number) => `${id}`, flatten: true })
    async save(_id: number): Promise<Money> {
      return new Money('CHF', ++this.runs);
    }
    @Cached({ namespace: 'prices' })
    async refused(_id: number): Promise<Money> {
      return new Money('EUR', ++this.runs);
    }
  }

  it('stores plain objects of instances that are not cached otherwise; the first caller gets one, too', async () => {
    const { url, keyPrefix } = redisForTest();
    const cache = { redis: tiers === 'Redis' ? { url } : (false as const), keyPrefix };
    const prices = (await nestForTest({ providers: [Prices], cache })).get(Prices);
    for (let time = 0; time < 2; time++) {
      expect(await prices.one(1)).toStrictEqual({ currency: 'EUR' });
      expect(await prices.many([1, 2])).toStrictEqual([{ currency: 'USD' }, { currency: 'USD' }]);
    }
    expect(prices.runs).toBe(3);
    await prices.save(1);
    expect(await prices.many([1])).toStrictEqual([{ currency: 'CHF' }]);
    expect([(await prices.refused(1)).cents, (await prices.refused(1)).cents]).toEqual([5, 6]);
  });
});

it('a mode that does not exist is refused where the class is loaded', () => {
  const load = () => {
    class Cats {
      @Cached({ values: 'cloned' })
      async one(): Promise<void> {}

      @Cached({ values: 'copied' as 'cloned' })
      async two(): Promise<void> {}
    }
    return Cats;
  };
  expect(load).toThrow(ConfigurationError);
  expect(load).toThrow('"cloned", "frozen" or "shared"');
  expectTypeOf<CachedOptions['values']>().toEqualTypeOf<ValuesMode | undefined>();
});
