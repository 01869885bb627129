import { CACHE_MANAGER as NEST_CACHE_MANAGER, CacheInterceptor, CacheTTL, type Cache } from '@nestjs/cache-manager';
import { Controller, Get, Inject, Module, Query, UseInterceptors } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cacheForTest } from '../../../../../test/support/cache-for-test.js';
import { redisForTest } from '../../../../../test/support/redis-for-test.js';
import { CACHE_MANAGER, createCacheManager, withCacheManagerDefaults } from './index.js';

/** As an application of `@nestjs/cache-manager` has it: nothing of ours is imported. */
@Controller()
class SearchController {
  runs = 0;

  constructor(@Inject(NEST_CACHE_MANAGER) readonly cache: Cache) {}

  @Get('search')
  @UseInterceptors(CacheInterceptor)
  @CacheTTL(30_000)
  search(@Query('term') term: string) {
    this.runs++;
    return { term, run: this.runs };
  }
}

async function startApp() {
  const { url, keyPrefix, admin } = redisForTest();
  const tiers = cacheForTest(withCacheManagerDefaults({ redis: { url }, keyPrefix }));

  @Module({
    controllers: [SearchController],
    providers: [{ provide: CACHE_MANAGER, useFactory: () => createCacheManager(tiers) }],
  })
  class AppModule {}

  const testing = await Test.createTestingModule({ imports: [AppModule] }).compile();
  const app = testing.createNestApplication({ logger: false });
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  const address = await app.getUrl();
  return { app, keyPrefix, admin, get: (path: string) => fetch(address + path) };
}

describe('an application of @nestjs/cache-manager', () => {
  it('keeps its @Inject(CACHE_MANAGER) and its CacheInterceptor', async () => {
    const { app, get, keyPrefix, admin } = await startApp();
    const first = await get('/search?term=redis');
    expect(first.headers.get('x-cache')).toBe('MISS');
    expect(await first.json()).toEqual({ term: 'redis', run: 1 });
    const key = `${keyPrefix}:cache-manager:/search?term=redis`;
    await expect.poll(() => admin.pttl(key)).toBeGreaterThan(0);
    expect(await admin.pttl(key)).toBeLessThanOrEqual(30_000);
    const second = await get('/search?term=redis');
    expect(second.headers.get('x-cache')).toBe('HIT');
    expect(await second.json()).toEqual({ term: 'redis', run: 1 });
    expect(await (await get('/search?term=nest')).json()).toEqual({ term: 'nest', run: 2 });
    await app.get(SearchController).cache.del('/search?term=redis');
    expect(await (await get('/search?term=redis')).json()).toEqual({ term: 'redis', run: 3 });
  });
});
