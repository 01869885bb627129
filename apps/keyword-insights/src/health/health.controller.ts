import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';
import type { HealthCheckResult } from '@nestjs/terminus';
import { DistributedCacheHealthIndicator } from 'nestjs-distributed-cache/health';
import { HEALTHY } from './health.example.js';

@ApiTags('operations')
@Controller('health')
export class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(DistributedCacheHealthIndicator) private readonly cache: DistributedCacheHealthIndicator,
  ) {}

  /** 200 while the cache serves at all, from Redis (`up`) or from memory (`degraded`). */
  @Get()
  // Terminus would document a database and a Redis that this application has not got.
  @HealthCheck({ noCache: true, swaggerDocumentation: false })
  @ApiOperation({ summary: 'Which tiers of the cache serve' })
  @ApiOkResponse({
    description: 'The cache serves: from Redis (`up`), or from memory while Redis can not be used (`degraded`).',
    schema: { type: 'object', example: HEALTHY },
  })
  @ApiServiceUnavailableResponse({ description: 'No tier serves, or the required Redis does not.' })
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.cache.isHealthy('cache')]);
  }
}
