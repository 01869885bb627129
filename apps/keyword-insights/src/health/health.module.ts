import { Module } from '@nestjs/common';
import { DistributedCacheHealthModule } from 'nestjs-distributed-cache/health';
import { HealthController } from './health.controller.js';

@Module({ imports: [DistributedCacheHealthModule], controllers: [HealthController] })
export class HealthModule {}
