import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Inject, Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  AsyncCache,
  Cached,
  DistributedCache,
  DistributedCacheModule,
  getCacheToken,
  InjectCache,
  NamespaceCache,
} from 'nestjs-distributed-cache';
import { createTestCache } from 'nestjs-distributed-cache/testing';
import { afterEach, expect, expectTypeOf, inject, it, vi } from 'vitest';

/** The Redis of the reader. */
const url = `redis://127.0.0.1:${inject('redisPort')}`;

/*
 * The examples of docs/testing.md, compiled and run. The last test compares them with the page.
 */

afterEach(() => void vi.useRealTimers());

@Injectable()
class OfferSearch {
  async search(term: string): Promise<string[]> {
    return [`an offer for ${term}`];
  }
}

@Injectable()
class Offers {
  constructor(
    @InjectCache('offers') private readonly cache: NamespaceCache<string[]>,
    @Inject(OfferSearch) private readonly source: OfferSearch,
  ) {}

  find(term: string): Promise<string[]> {
    return this.cache.getOrSet(`offers:${term}`, () => this.source.search(term), { ttl: '30m' });
  }

  @Cached({ namespace: 'offers', ttl: '30m', key: (term: string) => `count:${term}` })
  async count(term: string): Promise<number> {
    return (await this.source.search(term)).length;
  }
}

@Module({ imports: [DistributedCacheModule.forFeature([{ namespace: 'offers' }])], providers: [Offers, OfferSearch] })
class OffersModule {}

it('searches again after half an hour', async () => {
  const { cache, clock } = createTestCache();
  const source = { search: vi.fn(async () => ['a lamp']) };
  const offers = new Offers(cache.getCache('offers'), source);
  expect(await offers.find('lamp')).toEqual(['a lamp']);
  expect(await offers.find('lamp')).toEqual(['a lamp']);
  expect(source.search).toHaveBeenCalledTimes(1);
  clock.advance(30 * 60_000);
  await offers.find('lamp');
  expect(source.search).toHaveBeenCalledTimes(2);
});

it('searches under the key of the term', async () => {
  const getOrSet = vi.fn(async () => ['from the stub']);
  const stub = { getOrSet } as Partial<NamespaceCache<string[]>> as NamespaceCache<string[]>;
  expect(await new Offers(stub, new OfferSearch()).find('lamp')).toEqual(['from the stub']);
  expect(getOrSet).toHaveBeenCalledWith('offers:lamp', expect.any(Function), { ttl: '30m' });
});

it('counts once within half an hour', async () => {
  const { cache, clock } = createTestCache();
  const search = vi.fn(async () => ['a lamp', 'another lamp']);
  const module = await Test.createTestingModule({ imports: [DistributedCacheModule.forRoot(), OffersModule] })
    .overrideProvider(DistributedCache)
    .useValue(cache)
    .overrideProvider(OfferSearch)
    .useValue({ search })
    .compile();
  await module.init();
  const offers = module.get(Offers);
  expect([await offers.count('lamp'), await offers.count('lamp')]).toEqual([2, 2]);
  expect(search).toHaveBeenCalledTimes(1);
  clock.advance(30 * 60_000);
  await offers.count('lamp');
  expect(search).toHaveBeenCalledTimes(2);
  await module.close();
});

it('finds offers with two providers alone', async () => {
  const offers = createTestCache().cache.getCache('offers');
  const module = await Test.createTestingModule({
    providers: [Offers, OfferSearch, { provide: getCacheToken('offers'), useValue: offers }],
  }).compile();
  expect(await module.get(Offers).find('lamp')).toEqual(['an offer for lamp']);
  expect(await offers.has('offers:lamp')).toBe(true);
});

it('counts each time without the cache', async () => {
  const search = vi.fn(async () => ['a lamp']);
  const module = await Test.createTestingModule({
    imports: [DistributedCacheModule.forRoot({ enabled: false }), OffersModule],
  })
    .overrideProvider(OfferSearch)
    .useValue({ search })
    .compile();
  await module.init();
  const offers = module.get(Offers);
  await offers.count('lamp');
  await offers.count('lamp');
  expect(search).toHaveBeenCalledTimes(2);
  await module.close();
});

it('answers while timers are fake', async () => {
  const { cache } = createTestCache();
  vi.useFakeTimers();
  expect(await cache.getCache('offers').getOrSet('key', async () => 'loaded')).toBe('loaded');
  vi.useRealTimers();
});

it('counts the second call as a hit', async () => {
  const { cache } = createTestCache();
  const offers = new Offers(cache.getCache('offers'), new OfferSearch());
  await offers.find('lamp');
  await offers.find('lamp');
  expect(cache.getCache('offers').getMetrics()).toMatchObject({ hits: 1, misses: 1, loads: 1, sets: 1 });
});

it('stores the offers of a term for half an hour', async () => {
  const { cache } = createTestCache();
  const stored: object[] = [];
  cache.events.on('set', ({ namespace, key, ttlMs }) => stored.push({ namespace, key, ttlMs }));
  await new Offers(cache.getCache('offers'), new OfferSearch()).find('lamp');
  expect(stored).toEqual([{ namespace: 'offers', key: 'offers:lamp', ttlMs: 1_800_000 }]);
  expect(await cache.getCache('offers').lookup('offers:lamp')).toMatchInlineSnapshot(`
    {
      "ageMs": 0,
      "state": "fresh",
      "tier": "local",
      "ttlMs": 1800000,
      "value": [
        "an offer for lamp",
      ],
    }
  `);
});

it('shares an entry between two applications', async () => {
  const options = { redis: { url }, keyPrefix: `test-${randomUUID()}` };
  const start = async () => {
    const imports = [DistributedCacheModule.forRoot(options), OffersModule];
    const module = await Test.createTestingModule({ imports }).compile();
    return module.init();
  };
  const [first, second] = [await start(), await start()];
  await first.get(Offers).find('lamp');
  await second.get(Offers).find('lamp');
  expect(second.get(DistributedCache).getCache('offers').getMetrics()).toMatchObject({ redisHits: 1, loads: 0 });
  await first.close();
  await second.close();
});

it('loads once in each interval', async () => {
  const { cache, clock } = createTestCache({ ttl: '1m' });
  vi.useFakeTimers();
  const load = vi.fn(async () => 'loaded');
  const timer = setInterval(() => void cache.getCache('offers').getOrSet('key', load), 60_000);
  for (let minute = 1; minute <= 3; minute++) {
    clock.advance(60_000);
    await vi.advanceTimersByTimeAsync(60_000);
  }
  expect(load).toHaveBeenCalledTimes(3);
  clearInterval(timer);
  vi.useRealTimers();
});

it('the page shows exactly these examples', () => {
  const page = readFileSync(new URL('../../docs/testing.md', import.meta.url), 'utf8');
  const own = readFileSync(import.meta.filename, 'utf8');
  const examples = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, code = '']) => code);
  expect(examples.length).toBeGreaterThan(5);
  expect(examples.filter((code) => !own.includes(code))).toEqual([]);
});

it('every cache is a NamespaceCache, which is a class at run time: the metadata of a constructor names it', () => {
  expectTypeOf<AsyncCache<string[]>>().toExtend<NamespaceCache<string[]>>();
  expect(createTestCache().cache.getCache('offers')).toBeInstanceOf(NamespaceCache);
  expect(Reflect.getMetadata('design:paramtypes', Offers)).toEqual([AsyncCache, OfferSearch]);
});
