import { Controller, Get, Injectable, Query, ValidationPipe } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { httpForTest, nestForTest } from '../../../../../test/support/nest-for-test.js';
import { recordLogs } from '../../../../../test/support/recording-logger.js';
import { type CacheEventMap, DistributedCache } from '../../core/index.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { CachePut } from './cache-put.decorator.js';
import { Cached } from './cached.decorator.js';
import { CachedMany } from './cached-many.decorator.js';

type Told = CacheEventMap['decoratedCallUncached'];

class Secret {
  readonly #secret: string;
  constructor(secret: string) {
    this.#secret = secret;
  }
  reveal(): string {
    return this.#secret;
  }
}

function fail(): never {
  throw new RangeError('of alice@example.org');
}

@Injectable()
class Orders {
  runs = 0;

  @Cached()
  async search(_criteria: unknown): Promise<number> {
    return ++this.runs;
  }

  @Cached({ key: (id: unknown) => id as string })
  async byKey(_id: unknown): Promise<number> {
    return ++this.runs;
  }

  @Cached({ key: fail })
  async byThrowingKey(): Promise<number> {
    return ++this.runs;
  }

  @Cached({ tags: fail })
  async byThrowingTags(): Promise<number> {
    return ++this.runs;
  }

  @Cached({ tags: () => [''] })
  async byEmptyTag(): Promise<number> {
    return ++this.runs;
  }

  @Cached({ tags: () => 'order' as unknown as string[] })
  async byTagText(): Promise<number> {
    return ++this.runs;
  }

  @Cached({ instanceKey: fail })
  async byThrowingInstanceKey(): Promise<number> {
    return ++this.runs;
  }

  @Cached({ key: (() => Promise.reject(new Error('late'))) as unknown as () => string })
  async byPromisedKey(): Promise<number> {
    return ++this.runs;
  }

  @CachedMany({ key: fail })
  async many(ids: number[]): Promise<number[]> {
    return ids.map(() => ++this.runs);
  }

  @Cached({ key: fail })
  async failing(): Promise<void> {
    throw new TypeError('no database');
  }
}

async function start() {
  const logger = recordLogs(['warn']);
  const module = await nestForTest({ providers: [Orders], logger });
  const told: Told[] = [];
  module.get(DistributedCache).events.on('decoratedCallUncached', (event) => told.push(event));
  return { orders: module.get(Orders), told, lines: () => logger.messagesOf('DistributedCache') };
}

describe('a call whose key can not be computed', () => {
  it.each<[string, (orders: Orders) => Promise<unknown>, RegExp]>([
    [
      'a function',
      (orders) => orders.search(() => true),
      /^Argument 1 of Orders\.search .* pass `key: \(…\) => string`/,
    ],
    [
      'an instance with a private field',
      (orders) => orders.search(new Secret('s3cret')),
      /instance of Secret.*private/,
    ],
    ['a deep function', (orders) => orders.search({ where: [{ by: () => 1 }] }), /\(at \.where\[0\]\.by\)/],
    ['an empty key', (orders) => orders.byKey(''), /must not be empty/],
    ['a key that is no text', (orders) => orders.byKey(undefined), /must be a string, got undefined/],
    ['an ill-formed key', (orders) => orders.byKey('\ud800'), /well-formed/],
    ['a `key` that throws', (orders) => orders.byThrowingKey(), /^The option `key` threw RangeError\. /],
    ['a `key` that returns a promise', (orders) => orders.byPromisedKey(), /^The option `key` returned a promise/],
    ['`tags` that throws', (orders) => orders.byThrowingTags(), /^The option `tags` threw RangeError\. /],
    ['`tags` with an empty one', (orders) => orders.byEmptyTag(), /must not be empty/],
    ['`tags` that is no list', (orders) => orders.byTagText(), /^The option `tags` returned no list/],
    ['an `instanceKey` that throws', (orders) => orders.byThrowingInstanceKey(), /`instanceKey` threw RangeError/],
  ])('runs the method, uncached, and says so once: %s', async (_title, call, reason) => {
    const { orders, told, lines } = await start();
    expect([await call(orders), await call(orders), orders.runs]).toEqual([1, 2, 2]);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ namespace: 'default', effect: 'not cached' });
    expect(told[0]?.reason).toMatch(reason);
    expect(lines()).toEqual([`cache_call_uncached default ${told[0]?.caller} runs, not cached: ${told[0]?.reason}`]);
    expect(lines()[0]).not.toMatch(/alice|s3cret/);
  });

  it('runs the method of a list once', async () => {
    const { orders, told } = await start();
    expect(await orders.many([7, 8])).toEqual([1, 2]);
    expect(told).toMatchObject([{ caller: 'Orders.many', effect: 'not cached' }]);
  });

  it('gets the error of the method, as the same object', async () => {
    const { orders } = await start();
    await expect(orders.failing()).rejects.toThrow(new TypeError('no database'));
  });

  it('keeps the cache for other arguments', async () => {
    const { orders } = await start();
    await orders.search(() => true);
    expect([await orders.search(1), await orders.search(1)]).toEqual([2, 2]);
  });

  it('clears the namespace of a @CacheEvict or @CachePut, after the method has run', async () => {
    @Injectable()
    class Users {
      reads = 0;
      @Cached({ namespace: 'users' })
      async find(): Promise<number> {
        return ++this.reads;
      }
      @CacheEvict({ namespace: 'users', key: fail })
      async forget(): Promise<void> {}
      @CacheEvict({ namespace: 'users', keys: () => 'user' as unknown as string[] })
      async forgetMany(): Promise<void> {}
      @CacheEvict({ namespace: 'users', tags: fail, before: true })
      async forgetTagged(): Promise<void> {}
      @CacheEvict({ namespace: 'users', resultKey: () => '' })
      async forgetResult(): Promise<void> {}
      @CachePut({ namespace: 'users', key: fail })
      async save(): Promise<number> {
        return -1;
      }
    }
    const module = await nestForTest({ providers: [Users] });
    const told: Told[] = [];
    module.get(DistributedCache).events.on('decoratedCallUncached', (event) => told.push(event));
    const users = module.get(Users);
    for (const change of ['forget', 'forgetMany', 'forgetTagged', 'forgetResult', 'save'] as const) {
      const before = await users.find();
      await users[change]();
      expect(await users.find()).toBe(before + 1);
    }
    expect(told.map(({ effect }) => effect)).toEqual(Array.from({ length: 5 }, () => 'namespace cleared'));
  });
});

describe('a DTO of a validated request', () => {
  it('is part of the key, and never an error 500', async () => {
    class Page {
      page = '1';
      get skip(): number {
        return (Number(this.page) - 1) * 20;
      }
    }
    @Controller()
    class OrdersController {
      runs = 0;
      @Get('orders')
      @Cached()
      async list(
        @Query(new ValidationPipe({ transform: true, validatorPackage: NO_RULES, transformerPackage })) page: Page,
      ) {
        return { page: page.page, skip: page.skip, run: ++this.runs };
      }
    }
    const { request } = await httpForTest({ controllers: [OrdersController] });
    const runOf = async (page: number) => {
      const response = await request(`/orders?page=${page}`);
      expect(response.status).toBe(200);
      return ((await response.json()) as { run: number }).run;
    };
    expect([await runOf(1), await runOf(2), await runOf(1), await runOf(2)]).toEqual([1, 2, 1, 2]);
  });
});

it('the log names each method whose result or call is not cached, with what to write', async () => {
  class Rates {
    @Cached({ key: () => '1', ttl: () => 0 })
    async none(): Promise<number> {
      return 1;
    }

    @Cached({
      key: () => '2',
      ttl: () => {
        throw new TypeError('of alice@example.org');
      },
    })
    async failing(): Promise<number> {
      return 1;
    }

    @Cached({ varyBy: ['tenant'] })
    async ofTenant(): Promise<number> {
      return 1;
    }
  }
  const logger = recordLogs(['warn']);
  const rates = (await nestForTest({ providers: [Rates], logger })).get(Rates);
  for (let call = 0; call < 2; call++) {
    await rates.none();
    await rates.failing();
    await rates.ofTenant();
  }
  expect(logger.messagesOf('DistributedCache').map((line) => line.replace(/ key#\w+/, ''))).toEqual([
    'cache_value_refused default Rates.none: The value is not cached: its ttl is not longer than 0. Return a longer one, or refuse the result with cacheIf',
    'cache_value_refused default Rates.failing: The value is not cached: ttl threw TypeError. Make it return a duration for every result',
    'cache_dimension_missing default Rates.ofTenant is not cached: the request has no tenant. Set it with CacheContextInterceptor, CacheContext.run() or the option `context`',
  ]);
});

/** What class-validator and class-transformer do for a class without rules. */
const NO_RULES = { validate: () => [] };
const transformerPackage = {
  classToPlain: (value: object) => ({ ...value }),
  plainToClass: toInstance,
  plainToInstance: toInstance,
};

function toInstance<T>(type: new () => T, plain: unknown): T {
  return Object.assign(new type() as object, plain) as T;
}
