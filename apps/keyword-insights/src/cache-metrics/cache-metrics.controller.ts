import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CacheMetrics, DistributedCache } from 'nestjs-distributed-cache';

@ApiTags('operations')
@Controller('cache/metrics')
export class CacheMetricsController {
  constructor(@Inject(DistributedCache) private readonly cache: DistributedCache) {}

  @Get()
  @ApiOperation({ summary: "The cache's counters in this process, by namespace" })
  @ApiOkResponse({ schema: { type: 'array', items: CacheMetrics.jsonSchema } })
  counters(): CacheMetrics[] {
    return this.cache.getMetrics();
  }
}
