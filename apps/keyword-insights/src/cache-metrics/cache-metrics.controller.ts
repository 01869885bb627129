import { Controller, Get, Header, Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import { CacheMetrics, DistributedCache } from 'nestjs-distributed-cache';
import { registerCacheMetrics } from 'nestjs-distributed-cache/prometheus';
import { Registry } from 'prom-client';

/** The metrics of this application. A registry of its own: several applications of one process stay apart. */
@Injectable()
export class MetricsRegistry extends Registry implements OnApplicationShutdown {
  private readonly unregister: () => void;

  constructor(@Inject(DistributedCache) cache: DistributedCache) {
    super();
    this.unregister = registerCacheMetrics(this, cache);
  }

  onApplicationShutdown(): void {
    this.unregister();
  }
}

@ApiTags('operations')
@Controller()
export class CacheMetricsController {
  constructor(
    @Inject(DistributedCache) private readonly cache: DistributedCache,
    @Inject(MetricsRegistry) private readonly registry: MetricsRegistry,
  ) {}

  @Get('cache/metrics')
  @ApiOperation({ summary: "The cache's counters in this process, by namespace" })
  @ApiOkResponse({ schema: { type: 'array', items: CacheMetrics.jsonSchema } })
  counters(): CacheMetrics[] {
    return this.cache.getMetrics();
  }

  @Get('metrics')
  @Header('content-type', Registry.PROMETHEUS_CONTENT_TYPE)
  @ApiOperation({ summary: 'The metrics of the cache for Prometheus' })
  @ApiProduces('text/plain')
  @ApiOkResponse({ description: 'The text format of Prometheus.', schema: { type: 'string' } })
  metrics(): Promise<string> {
    return this.registry.metrics();
  }
}
