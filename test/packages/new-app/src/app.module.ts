import { Module } from '@nestjs/common';
import { DistributedCacheModule, InjectCache, NamespaceCache } from 'nestjs-distributed-cache';
import { AppController } from './app.controller.js';
import { AppService } from './app.service.js';

@Module({
  imports: [DistributedCacheModule.forRoot({ redis: false })],
  controllers: [AppController],
  providers: [AppService],
})
export class AppModule {
  /** The type is kept as metadata: each builder has to find its import. */
  constructor(@InjectCache('default') readonly cache: NamespaceCache) {}
}
