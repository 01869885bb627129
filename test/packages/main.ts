/**
 * An application with the package newly installed. scripts/check-packages.mjs copies this source into
 * every Nest app beside it, compiles it there as CommonJS for Nest 11 and as ESM for Nest 12, and runs it.
 */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { Controller, Get, Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Cached, CacheEvict, DistributedCache, DistributedCacheModule } from 'nestjs-distributed-cache';
import { DistributedCacheDashboardModule } from 'nestjs-distributed-cache/dashboard';
import { DistributedCacheHealthIndicator } from 'nestjs-distributed-cache/health';
import { redisStreams, startRelay } from 'nestjs-distributed-cache/relay';

@Injectable()
class SearchService {
  runs = 0;

  @Cached({ ttl: '5m', key: (term: string) => term, tags: ['terms'] })
  async search(term: string): Promise<{ term: string; foundAt: Date }> {
    this.runs += 1;
    return { term, foundAt: new Date(0) };
  }

  // Every version of TypeScript infers the parameters from a list, also where some of its options have no function.
  @CacheEvict([{ tags: ['terms'] }, { key: (term: string) => term }])
  async forget(term: string): Promise<string> {
    return term;
  }
}

@Controller('health')
class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(DistributedCacheHealthIndicator) private readonly cache: DistributedCacheHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.cache.isHealthy('cache')]);
  }
}

@Module({
  imports: [
    DistributedCacheModule.forRoot({ redis: false, region: 'eu' }),
    DistributedCacheDashboardModule.forRoot({ path: 'admin/cache', access: () => true }),
    TerminusModule,
  ],
  controllers: [HealthController],
  providers: [SearchService, DistributedCacheHealthIndicator],
})
class AppModule {}

async function run(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  await app.listen(0, '127.0.0.1');

  const far = redisStreams({ redis: { url: 'redis://redis.us.internal' } });
  assert.equal(startRelay(app.get(DistributedCache), { us: far }).leads, false); // nothing to relay without a Redis

  const service = app.get(SearchService);
  const expected = { term: 'cache', foundAt: new Date(0) };
  assert.deepEqual(await service.search('cache'), expected);
  assert.deepEqual(await service.search('cache'), expected);
  assert.equal(service.runs, 1, 'the second call must be answered from the cache');
  await service.forget('cache');
  await service.search('cache');
  assert.equal(service.runs, 2, 'the call after the eviction must run the method');

  const response = await fetch(`${await app.getUrl()}/health`);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const body: { info: { cache: { status: string; redis_connected: boolean } } } = JSON.parse(text);
  assert.equal(body.info.cache.status, 'up', text);
  assert.equal(body.info.cache.redis_connected, false, text);

  const page = await fetch(`${await app.getUrl()}/admin/cache`);
  assert.equal(page.status, 200);
  assert.match(await page.text(), /data-status="up"/);

  await app.close();
}

run().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
