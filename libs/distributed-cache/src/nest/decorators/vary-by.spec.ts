import { Controller, Get, Injectable, type ExecutionContext } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { defer, lastValueFrom } from 'rxjs';
import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import { httpForTest, nestForTest } from '../../../../../test/support/nest-for-test.js';
import { recordLogs } from '../../../../../test/support/recording-logger.js';
import { CacheContext, DistributedCache, type CacheDimensions, type CacheEventMap } from '../../core/index.js';
import { CacheContextInterceptor } from '../interceptors.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { CachePut } from './cache-put.decorator.js';
import type { CachedOptions } from './decorator-options.js';
import { Cached } from './cached.decorator.js';
import { CachedMany } from './cached-many.decorator.js';

const byId = (id: number) => `price:${id}`;

@Injectable()
class Prices {
  runs = 0;

  @Cached({ varyBy: ['tenant', 'locale'] })
  async list(_page: number): Promise<number> {
    return ++this.runs;
  }

  @Cached({ namespace: 'prices', key: byId, varyBy: ['tenant'] })
  async price(_id: number): Promise<number> {
    return ++this.runs;
  }

  @CachedMany({ namespace: 'prices', key: byId, varyBy: ['tenant'] })
  async prices(ids: readonly number[]): Promise<number[]> {
    return ids.map(() => ++this.runs);
  }

  @CachePut({ namespace: 'prices', key: byId, varyBy: ['tenant'] })
  async raise(_id: number): Promise<number> {
    return ++this.runs;
  }

  @CacheEvict({ namespace: 'prices', key: byId, varyBy: ['tenant'] })
  async forget(_id: number): Promise<void> {}

  @CacheEvict({ namespace: 'prices', keys: (ids: number[]) => ids.map(byId), varyBy: ['tenant'] })
  async forgetSome(_ids: number[]): Promise<void> {}
}

const as = <Result>(dimensions: CacheDimensions, work: () => Promise<Result>) => CacheContext.run(dimensions, work);

async function pricesForTest(context?: () => CacheDimensions) {
  const module = await nestForTest({ providers: [Prices], cache: { redis: false, context } });
  const cache = module.get(DistributedCache);
  const missing: CacheEventMap['dimensionMissing'][] = [];
  cache.events.on('dimensionMissing', (event) => missing.push(event));
  return { prices: module.get(Prices), cache, missing };
}

describe('varyBy', () => {
  it('keeps an entry for each value of every dimension, with any arguments', async () => {
    const { prices } = await pricesForTest();
    const contexts: CacheDimensions[] = [
      { tenant: 'a', locale: 'de' },
      { tenant: 'a', locale: 'en' },
      { tenant: 'b', locale: 'de' },
      { tenant: 1, locale: 'de' },
      { tenant: '1', locale: 'de' },
      { tenant: "a',locale:'de", locale: 'de' },
      { tenant: 'de', locale: 'a' },
    ];
    const first = await Promise.all(contexts.map((context) => as(context, () => prices.list(1))));
    expect(new Set(first).size).toBe(contexts.length);
    const again = await Promise.all(contexts.map((context) => as(context, () => prices.list(1))));
    expect(again).toEqual(first);
  });

  it.each<[string, CacheDimensions]>([
    ['no dimension at all', {}],
    ['one of two', { tenant: 'a' }],
    ['null', { tenant: 'a', locale: null }],
    ['an empty text', { tenant: '', locale: 'de' }],
    ['what is none', { tenant: {} as unknown as string, locale: 'de' }],
  ])('does not cache a call whose request has %s', async (_name, context) => {
    const { prices } = await pricesForTest();
    expect([await as(context, () => prices.list(1)), await as(context, () => prices.list(1))]).toEqual([1, 2]);
  });

  it('does not cache outside of any request, and where the context option throws', async () => {
    const { prices } = await pricesForTest(() => {
      throw new Error('no request');
    });
    expect([await prices.list(1), await prices.list(1), await prices.prices([1])]).toEqual([1, 2, [3]]);
  });

  it('reports a missing dimension once per method, by name and without values', async () => {
    const { prices, missing } = await pricesForTest();
    for (const id of [1, 2, 3]) {
      await as({ tenant: 'secret' }, () => prices.list(id));
      await prices.price(id);
    }
    expect(missing).toEqual([
      { namespace: 'default', caller: 'Prices.list', dimensions: ['locale'] },
      { namespace: 'prices', caller: 'Prices.price', dimensions: ['tenant'] },
    ]);
  });

  it('takes a dimension from the context option if no CacheContext.run has set it', async () => {
    const { prices } = await pricesForTest(() => ({ tenant: 'a', locale: 'de' }));
    expect(await prices.list(1)).toBe(1);
    expect(await as({ tenant: 'a' }, () => prices.list(1))).toBe(1);
    expect(await as({ tenant: 'b' }, () => prices.list(1))).toBe(2);
  });

  it('applies to every decorator: lists, puts and evictions reach the entry of the request and no other', async () => {
    const { prices } = await pricesForTest();
    const [a, b] = [{ tenant: 'a' }, { tenant: 'b' }];
    expect(await as(a, () => prices.price(1))).toBe(1);
    expect(await as(b, () => prices.price(1))).toBe(2);
    expect(await as(a, () => prices.prices([1, 9]))).toEqual([1, 3]);
    expect(await as(a, () => prices.raise(1))).toBe(4);
    expect(await as(a, () => prices.price(1))).toBe(4);
    await as(a, () => prices.forget(1));
    expect(await as(b, () => prices.price(1))).toBe(2);
    expect(await as(a, () => prices.price(1))).toBe(5);
    await as(b, () => prices.forgetSome([1]));
    expect(await as(a, () => prices.price(1))).toBe(5);
    expect(await as(b, () => prices.price(1))).toBe(6);
  });

  it.each<[string, (prices: Prices) => Promise<unknown>]>([
    ['eviction', (prices) => prices.forget(1)],
    ['put', (prices) => prices.raise(1)],
  ])('clears the namespace at an %s whose entry is unknown', async (_name, change) => {
    const { prices } = await pricesForTest();
    const before = await as({ tenant: 'a' }, () => prices.price(1));
    await change(prices);
    expect(await as({ tenant: 'a' }, () => prices.price(1))).toBeGreaterThan(before);
  });

  it('works without decorators: getOrSet and set with varyBy, every other method with keyFor', async () => {
    const { cache } = await pricesForTest();
    const prices = cache.getCache<number>('prices');
    const load = vi.fn(async () => 1);
    const options = { varyBy: ['tenant'] };
    await as({ tenant: 'a' }, async () => {
      await prices.getOrSet('k', load, options);
      await prices.getOrSet('k', load, options);
      expect(await prices.getOrSetMany(['k', 'm'], async (names) => names.map((name) => name.length), options)).toEqual(
        [1, 1],
      );
      expect(await prices.set('n', 5, options)).toBe(true);
      const key = prices.keyFor('n', options)!;
      expect([await prices.get(key), await prices.has(key), await prices.get('n')]).toEqual([5, true, undefined]);
      expect(await prices.delete(key)).toBe(true);
    });
    expect(load).toHaveBeenCalledTimes(1);
    await prices.getOrSet('k', load, options);
    expect(load).toHaveBeenCalledTimes(2);
    expect(await prices.set('n', 5, options)).toBe(false);
    expect(prices.keyFor('n', options)).toBeUndefined();
  });

  it('gives each request of an application its own entries, in concurrent requests too', async () => {
    @Controller()
    class PricesController {
      runs = 0;

      @Get('price')
      @Cached({ varyBy: ['tenant'] })
      async price(): Promise<{ run: number }> {
        return { run: ++this.runs };
      }
    }
    const interceptor = new CacheContextInterceptor((context) => ({
      tenant: context.switchToHttp().getRequest<{ headers: Record<string, string> }>().headers['x-tenant'],
    }));
    const { request } = await httpForTest({
      controllers: [PricesController],
      providers: [{ provide: APP_INTERCEPTOR, useValue: interceptor }],
    });
    const runOf = async (tenant?: string) => {
      const answer = await request('/price', tenant === undefined ? {} : { headers: { 'x-tenant': tenant } });
      return ((await answer.json()) as { run: number }).run;
    };
    const [a, b] = await Promise.all([runOf('a'), runOf('b')]);
    expect(a).not.toBe(b);
    expect(await Promise.all([runOf('a'), runOf('b'), runOf('a')])).toEqual([a, b, a]);
    expect(await runOf()).toBe(3);
    expect(await runOf()).toBe(4);
  });

  it('answers a request whose dimensions can not be found as without a cache, and says so once', async () => {
    const { prices } = await pricesForTest();
    const logger = recordLogs(['warn']);
    const interceptor = new CacheContextInterceptor((context) => ({
      tenant: context.switchToHttp().getRequest<{ tenant: string }>().tenant,
    }));
    const graphql = { getType: () => 'graphql', switchToHttp: () => ({ getRequest: () => undefined }) };
    const answer = () =>
      lastValueFrom(
        interceptor.intercept(graphql as unknown as ExecutionContext, { handle: () => defer(() => prices.price(1)) }),
      );
    expect([await answer(), await answer()]).toEqual([1, 2]);
    expect(logger.messagesOf('DistributedCache').filter((line) => line.startsWith('The function'))).toEqual([
      expect.stringMatching(/threw TypeError for a request of type graphql: its calls with `varyBy` are not cached/),
    ]);
  });

  it('accepts names and returns the result of the work', () => {
    expectTypeOf<CachedOptions['varyBy']>().toEqualTypeOf<readonly string[] | undefined>();
    expectTypeOf<CachedOptions['version']>().toEqualTypeOf<string | number | undefined>();
    expectTypeOf(CacheContext.run({ tenant: 'a' }, () => 1)).toEqualTypeOf<number>();
    expectTypeOf(CacheContext.current).toEqualTypeOf<CacheDimensions | undefined>();
  });
});

describe('version', () => {
  it('gives the same call another entry, and old entries are not found', async () => {
    class Base {
      runs = 0;
    }
    @Injectable()
    class Report extends Base {
      @Cached({ version: 1 })
      async old(): Promise<number> {
        return ++this.runs;
      }
      @Cached({ namespace: 'own', key: () => 'k', version: 1 })
      async first(): Promise<number> {
        return ++this.runs;
      }
      @Cached({ namespace: 'own', key: () => 'k', version: 2 })
      async second(): Promise<number> {
        return ++this.runs;
      }
      @Cached({ namespace: 'own', key: () => 'k', version: '2' })
      async third(): Promise<number> {
        return ++this.runs;
      }
      @CacheEvict({ namespace: 'own', key: () => 'k', version: 2 })
      async evictSecond(): Promise<void> {}
    }
    const module = await nestForTest({ providers: [Report] });
    const keys: string[] = [];
    module.get(DistributedCache).events.on('set', ({ key }) => keys.push(key));
    const report = module.get(Report);
    const all = async () => [await report.old(), await report.first(), await report.second(), await report.third()];
    expect(await all()).toEqual([1, 2, 3, 4]);
    expect(await all()).toEqual([1, 2, 3, 4]);
    await report.evictSecond();
    expect(await all()).toEqual([1, 2, 5, 4]);
    expect(keys).toContain('Report.old()%v1');
  });
});
