import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DistributedCache } from '../core/index.js';
import { CacheLogger } from './cache-logger.js';

/**
 * Opens the connection when the application starts, so that the log shows at once which tiers serve. Closes it in
 * `onApplicationShutdown`: in `onModuleDestroy`, requests are still being answered.
 */
@Injectable()
export class CacheLifecycle implements OnModuleInit, OnApplicationShutdown {
  constructor(
    @Inject(DistributedCache) private readonly cache: DistributedCache,
    @Inject(CacheLogger) private readonly logger: CacheLogger,
  ) {}

  async onModuleInit(): Promise<void> {
    this.logger.listenTo(this.cache);
    await this.cache.connect();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.cache.close();
    this.logger.stop();
  }
}
