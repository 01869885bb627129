import {
  Controller,
  Get,
  Global,
  Inject,
  Module,
  ServiceUnavailableException,
  type INestApplication,
} from '@nestjs/common';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { ownRedis, redisForTest } from '../../../../test/support/redis-for-test.js';
import { DistributedCache, type DistributedCacheOptions } from '../core/index.js';
import { DistributedCacheHealthIndicator, DistributedCacheHealthModule } from './index.js';

@Controller('health')
class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(DistributedCacheHealthIndicator) private readonly cache: DistributedCacheHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.cache.isHealthy()]);
  }

  @Get('live')
  @HealthCheck()
  live() {
    return this.health.check([]);
  }
}

/** The probes of docs/health.md without Terminus. */
@Controller('probes')
class ProbesController {
  constructor(@Inject(DistributedCache) private readonly cache: DistributedCache) {}

  @Get('live')
  live() {
    return { status: 'up' };
  }

  @Get()
  async check() {
    const health = await this.cache.healthCheck();
    if (health.status === 'down') {
      throw new ServiceUnavailableException(health.toJSON());
    }
    return health.toJSON();
  }
}

interface Started {
  readonly cache: DistributedCache;
  /** Status and body of `GET /health`, the cache's part of it. */
  readonly health: () => Promise<{ code: number; status: string; cache: Record<string, unknown> }>;
  /** The HTTP status of each path. */
  readonly codesOf: (...paths: string[]) => Promise<number[]>;
}

async function startApp(options: DistributedCacheOptions): Promise<Started> {
  const cache = cacheForTest(options);

  @Global()
  @Module({ providers: [{ provide: DistributedCache, useValue: cache }], exports: [DistributedCache] })
  class CacheModule {}

  @Module({ imports: [CacheModule, DistributedCacheHealthModule], controllers: [HealthController, ProbesController] })
  class AppModule {}

  const testing = await Test.createTestingModule({ imports: [AppModule] }).compile();
  const app: INestApplication = testing.createNestApplication({ logger: false });
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  const address = await app.getUrl();
  const health = async () => {
    const response = await fetch(`${address}/health`);
    const { status, details } = (await response.json()) as { status: string; details: { cache: never } };
    return { code: response.status, status, cache: details.cache };
  };
  const codesOf = (...paths: string[]) =>
    Promise.all(paths.map(async (path) => (await fetch(`${address}${path}`)).status));
  return { cache, health, codesOf };
}

describe('GET /health', () => {
  it('answers 200, up, while Redis answers, with the totals of all namespaces', async () => {
    const { url, keyPrefix } = redisForTest();
    const { cache, health } = await startApp({ redis: { url }, keyPrefix });
    for (const namespace of ['keywords', 'trends']) {
      await cache.getCache(namespace).getOrSet('a', async () => 1);
    }
    await cache.getCache('trends').get('a');
    expect(await health()).toEqual({
      code: 200,
      status: 'ok',
      cache: {
        status: 'up',
        redis_connected: true,
        local_cache_available: true,
        overall_healthy: true,
        connection: 'live',
        invalidation: 'live',
        journal_length: 0,
        seconds_since_answer: expect.any(Number),
        metrics: { hits: 1, misses: 2, hit_rate_percent: 33.33 },
      },
    });
  });

  it('answers 200, up, where no Redis is configured', async () => {
    const { health } = await startApp({ redis: false });
    expect(await health()).toMatchObject({
      code: 200,
      cache: {
        status: 'up',
        redis_connected: false,
        overall_healthy: true,
        metrics: { hits: 0, misses: 0, hit_rate_percent: 0 },
      },
    });
  });

  it('answers 200, degraded, from the death of Redis to its return', async () => {
    const server = await ownRedis();
    const { health } = await startApp({ redis: { url: server.url } });
    expect(await health()).toMatchObject({ code: 200, cache: { status: 'up' } });
    await server.killHard();
    expect(await health()).toEqual({
      code: 200,
      status: 'degraded',
      cache: {
        status: 'degraded',
        redis_connected: false,
        local_cache_available: true,
        overall_healthy: true,
        message: expect.stringContaining("Redis can't be used"),
        connection: 'down',
        invalidation: 'lost',
        journal_length: 0,
        seconds_since_answer: expect.any(Number),
        metrics: { hits: 0, misses: 0, hit_rate_percent: 0 },
      },
    });
    await server.restart();
    await vi.waitFor(async () => expect(await health()).toMatchObject({ cache: { status: 'up' } }), 10_000);
  });

  it('answers 503, down, where Redis is required and gone', async () => {
    const server = await ownRedis();
    const { health } = await startApp({ redis: { url: server.url }, requireRedis: true });
    expect(await health()).toMatchObject({ code: 200, cache: { status: 'up' } });
    await server.killHard();
    expect(await health()).toMatchObject({
      code: 503,
      status: 'error',
      cache: { status: 'down', redis_connected: false, overall_healthy: false, message: expect.any(String) },
    });
  });

  it('answers 503, down, where Redis is gone and there is no local tier', async () => {
    const server = await ownRedis();
    const { health } = await startApp({ redis: { url: server.url }, fallback: false });
    await server.killHard();
    expect(await health()).toMatchObject({ code: 503, cache: { status: 'down', overall_healthy: false } });
  });
});

describe('DistributedCacheHealthIndicator', () => {
  it('answers under the name that it is given', async () => {
    const { cache } = await startApp({ redis: false });
    const testing = await Test.createTestingModule({
      imports: [DistributedCacheHealthModule],
    })
      .useMocker((token) => (token === DistributedCache ? cache : undefined))
      .compile();
    expect(await testing.get(DistributedCacheHealthIndicator).isHealthy('search')).toMatchObject({
      search: { status: 'up' },
    });
  });

  it('answers up, in degraded mode, on Terminus 11, which has the states up and down only', async () => {
    const server = await ownRedis();
    await server.killHard();
    const cache = cacheForTest({ redis: { url: server.url } });
    const withStatus = (status: string) => (data: object) => ({ cache: { ...data, status } });
    const terminus11 = { check: () => ({ up: withStatus('up'), down: withStatus('down') }) };
    const indicator = new DistributedCacheHealthIndicator(terminus11 as never, cache);
    expect(await indicator.isHealthy()).toMatchObject({
      cache: { status: 'up', mode: 'degraded', redis_connected: false, overall_healthy: true },
    });
  });
});

describe('the probes of Kubernetes', () => {
  const liveness = ['/health/live', '/probes/live'];
  const readiness = ['/health', '/probes'];

  it('keep a process that serves without Redis, also while Redis hangs', async () => {
    const server = await ownRedis();
    const { cache, codesOf } = await startApp({ redis: { url: server.url } });
    await cache.connect();
    expect(await codesOf(...liveness, ...readiness)).toEqual([200, 200, 200, 200]);
    server.freeze();
    expect(await codesOf(...liveness, ...readiness)).toEqual([200, 200, 200, 200]);
    server.thaw();
    await server.killHard();
    expect(await codesOf(...liveness, ...readiness)).toEqual([200, 200, 200, 200]);
  });

  it('keep the requests away from a process that requires Redis, and do not restart it', async () => {
    const server = await ownRedis();
    const { cache, codesOf } = await startApp({ redis: { url: server.url }, requireRedis: true });
    await cache.connect();
    expect(await codesOf(...liveness, ...readiness)).toEqual([200, 200, 200, 200]);
    await server.killHard();
    expect(await codesOf(...liveness, ...readiness)).toEqual([200, 200, 503, 503]);
    await server.restart();
    await vi.waitFor(async () => expect(await codesOf(...readiness)).toEqual([200, 200]), 10_000);
  });
});
