import { Module } from '@nestjs/common';
import { DistributedCacheModule } from 'nestjs-distributed-cache';
import { CorpusModule } from '../corpus/corpus.module.js';
import { AmazonCollector } from './amazon.collector.js';
import { CollectorsController } from './collectors.controller.js';

@Module({
  imports: [CorpusModule, DistributedCacheModule.forFeature([{ namespace: 'amazon', ttl: '30m' }])],
  controllers: [CollectorsController],
  providers: [AmazonCollector],
})
export class CollectorsModule {}
