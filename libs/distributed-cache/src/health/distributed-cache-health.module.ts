import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { DistributedCacheHealthIndicator } from './distributed-cache.health-indicator.js';

/**
 * Provides {@link DistributedCacheHealthIndicator} and, with Terminus, all that a health controller needs. The cache
 * itself comes from the global `DistributedCacheModule`.
 */
@Module({
  imports: [TerminusModule],
  providers: [DistributedCacheHealthIndicator],
  exports: [DistributedCacheHealthIndicator, TerminusModule],
})
export class DistributedCacheHealthModule {}
