import { Module } from '@nestjs/common';
import { CorpusModule } from '../corpus/corpus.module.js';
import { InsightsController } from './insights.controller.js';
import { ResponsesController } from './responses.controller.js';
import { InsightsService } from './insights.service.js';

@Module({
  imports: [CorpusModule],
  controllers: [InsightsController, ResponsesController],
  providers: [InsightsService],
})
export class InsightsModule {}
