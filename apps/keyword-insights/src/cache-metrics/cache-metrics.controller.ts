import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { DistributedCache } from 'nestjs-distributed-cache';
import type { CacheMetrics } from 'nestjs-distributed-cache';
import { CacheCountersResponse } from './cache-counters.response.js';

@ApiTags('operations')
@Controller('cache/metrics')
export class CacheMetricsController {
  constructor(@Inject(DistributedCache) private readonly cache: DistributedCache) {}

  @Get()
  @ApiOperation({ summary: "The cache's counters in this process, by namespace" })
  @ApiOkResponse({ type: [CacheCountersResponse] })
  counters(): CacheMetrics[] {
    return this.cache.getMetrics();
  }
}
