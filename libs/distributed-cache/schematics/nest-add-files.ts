import type { Style } from './imports.js';

export const LIBRARY = 'nestjs-distributed-cache';

/** The files of a health check, by name. */
export function healthFiles(style: Style): Map<string, string> {
  return written(style, {
    'health.controller.ts': `import { Controller, Get, Inject } from '@nestjs/common';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';
import { DistributedCacheHealthIndicator } from '${LIBRARY}/health';

@Controller('health')
export class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(DistributedCacheHealthIndicator) private readonly cacheHealth: DistributedCacheHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.cacheHealth.isHealthy('cache')]);
  }
}
`,
    'health.module.ts': `import { Module } from '@nestjs/common';
import { DistributedCacheHealthModule } from '${LIBRARY}/health';
import { HealthController } from './health.controller.js';

@Module({ imports: [DistributedCacheHealthModule], controllers: [HealthController] })
export class HealthModule {}
`,
  });
}

/**
 * The files that register the counters with prom-client, by name.
 * @param withRoute whether the application has no route of prom-client yet
 */
export function metricsFiles(style: Style, withRoute: boolean): Map<string, string> {
  return written(style, withRoute ? { ...ROUTE } : { ...REGISTRATION });
}

const ROUTE = {
  'cache-metrics.controller.ts': `import { Controller, Get, Header, Inject, type OnApplicationShutdown } from '@nestjs/common';
import { DistributedCache } from '${LIBRARY}';
import { registerCacheMetrics } from '${LIBRARY}/prometheus';
import { Registry } from 'prom-client';

/** The counters of the cache for Prometheus. Guard the route, or let only Prometheus reach it. */
@Controller('metrics')
export class CacheMetricsController implements OnApplicationShutdown {
  private readonly registry = new Registry();
  private readonly unregister: () => void;

  constructor(@Inject(DistributedCache) cache: DistributedCache) {
    this.unregister = registerCacheMetrics(this.registry, cache);
  }

  @Get()
  @Header('content-type', Registry.PROMETHEUS_CONTENT_TYPE)
  metrics(): Promise<string> {
    return this.registry.metrics();
  }

  onApplicationShutdown(): void {
    this.unregister();
  }
}
`,
  'cache-metrics.module.ts': `import { Module } from '@nestjs/common';
import { CacheMetricsController } from './cache-metrics.controller.js';

@Module({ controllers: [CacheMetricsController] })
export class CacheMetricsModule {}
`,
};

const REGISTRATION = {
  'cache-metrics.module.ts': `import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { DistributedCache } from '${LIBRARY}';
import { registerCacheMetrics } from '${LIBRARY}/prometheus';
import { register } from 'prom-client';

/** Adds the counters of the cache to the default registry of prom-client. */
@Module({})
export class CacheMetricsModule implements OnApplicationShutdown {
  private readonly unregister: () => void;

  constructor(@Inject(DistributedCache) cache: DistributedCache) {
    this.unregister = registerCacheMetrics(register, cache);
  }

  onApplicationShutdown(): void {
    this.unregister();
  }
}
`,
};

/** The templates are ESM with single quotes and semicolons; the application may be written otherwise. */
function written({ quote, semicolon, extension }: Style, templates: Record<string, string>): Map<string, string> {
  const inStyle = (text: string) =>
    text
      .replaceAll(/(from '\.\/[^']*)\.js'/g, `$1${extension}'`)
      .replaceAll(/;$/gm, semicolon)
      .replaceAll("'", quote);
  return new Map(Object.entries(templates).map(([name, text]) => [name, inStyle(text)]));
}
