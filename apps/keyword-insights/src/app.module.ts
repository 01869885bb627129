import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { CacheMetricsInterceptor, DistributedCacheModule } from 'nestjs-distributed-cache';
import type { DistributedCacheOptions } from 'nestjs-distributed-cache';
import { DistributedCacheDashboardModule } from 'nestjs-distributed-cache/dashboard';
import { HttpCacheModule } from 'nestjs-distributed-cache/http';
import { ThisMachineGuard } from './access/this-machine.guard.js';
import { CacheMetricsController, MetricsRegistry } from './cache-metrics/cache-metrics.controller.js';
import { CollectorsModule } from './collectors/collectors.module.js';
import { HealthModule } from './health/health.module.js';
import { InsightsModule } from './insights/insights.module.js';
import { OwnRedisController } from './own-redis/own-redis.controller.js';
import { OwnRedis } from './own-redis/own-redis.js';
import { StartPageController } from './start-page/start-page.controller.js';

@Module({})
export class AppModule {
  /**
   * @param cache what the code decides about the cache; the rest comes from the environment (`REDIS_HOST`, `CACHE_TTL_KEYWORDS`, ...),
   *   which is read when the application is created
   * @param ownRedis the Redis that the demo has started; without it the routes that freeze and kill it do not exist
   */
  static register(cache: DistributedCacheOptions = {}, ownRedis?: OwnRedis): DynamicModule {
    return {
      module: AppModule,
      imports: [
        DistributedCacheModule.forRoot({ warmUp: { namespaces: ['keywords', 'metrics', 'trends'] }, ...cache }),
        HttpCacheModule.forRoot(),
        // The mails are public: keys and values may be shown. Other machines get a 403.
        DistributedCacheDashboardModule.forRoot({
          path: 'admin/cache',
          guards: [ThisMachineGuard],
          actions: true,
          keys: 'whole',
          values: true,
        }),
        InsightsModule,
        CollectorsModule,
        HealthModule,
      ],
      controllers: [
        StartPageController,
        CacheMetricsController,
        ...(ownRedis === undefined ? [] : [OwnRedisController]),
      ],
      // Every answer says what the cache did for it: Cache-Status.
      providers: [
        { provide: APP_INTERCEPTOR, useExisting: CacheMetricsInterceptor },
        MetricsRegistry,
        ...(ownRedis === undefined ? [] : [{ provide: OwnRedis, useValue: ownRedis }]),
      ],
    };
  }
}
