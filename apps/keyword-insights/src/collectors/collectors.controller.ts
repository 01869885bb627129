import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { AmazonCollector } from './amazon.collector.js';
import { AmazonReport } from './amazon.report.js';

@ApiTags('insights')
@Controller('insights/collectors')
export class CollectorsController {
  constructor(@Inject(AmazonCollector) private readonly amazon: AmazonCollector) {}

  @Get('amazon')
  @ApiOperation({ summary: 'Mails that name Amazon: senders, prices, offers', description: 'Cached for 30 minutes.' })
  @ApiOkResponse({ type: AmazonReport })
  collectAmazon(): Promise<AmazonReport> {
    return this.amazon.collect();
  }
}
