import { Controller, Delete, Get, HttpCode, Inject, Param } from '@nestjs/common';
import { ApiNoContentResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CachedResponse, PurgesResponses, ResponseCache, type ResponseControl } from 'nestjs-distributed-cache/http';
import { ApiAnswer, ApiDomain, ApiTerm } from './api-answer.js';
import { DomainPipe } from './domain.pipe.js';
import { foundReport, keywordsTag } from './insights.controller.js';
import { InsightsService } from './insights.service.js';
import { DomainReport } from './reports/domain.report.js';
import { KeywordReport } from './reports/keyword.report.js';
import { TrendReport } from './reports/trend.report.js';
import { TermPipe } from './term.pipe.js';

/** The tag of every stored response of the demo. */
const INSIGHTS = 'insights';

/**
 * The same answers as those under `/insights`, as stored responses: on a hit neither these methods nor the service run. On a
 * miss the service answers, from its cached results if it has them.
 */
@ApiTags('responses')
@Controller('responses')
@CachedResponse({ ttl: '10m', staleWhileRevalidate: '1m', tags: [INSIGHTS] })
export class ResponsesController {
  constructor(@Inject(InsightsService) private readonly insights: InsightsService) {}

  @Get('keywords/:term')
  @ApiOperation({ summary: 'Words that go with a term', description: 'The response is stored for 10 minutes.' })
  @ApiTerm()
  @ApiAnswer(KeywordReport, { isStored: true })
  keywords(@Param('term', TermPipe) term: string, @ResponseCache() response: ResponseControl): Promise<KeywordReport> {
    // `:term` has many spellings, and each URL has a stored response of its own. The tag has the one spelling of the pipe.
    response.tags(keywordsTag(term));
    return this.insights.keywords(term);
  }

  @Get('domains/:domain')
  @CachedResponse({ statuses: { 404: '1m' } })
  @ApiOperation({
    summary: 'Figures of a sender domain',
    description: 'The response is stored for 10 minutes, that of an unknown domain for a minute.',
  })
  @ApiDomain()
  @ApiAnswer(DomainReport, { isStored: true })
  async domainFigures(@Param('domain', DomainPipe) domain: string): Promise<DomainReport> {
    return foundReport(await this.insights.domainFigures(domain), domain);
  }

  @Get('trends/:term')
  @ApiOperation({ summary: 'How often a term was written, by month', description: 'Stored for 10 minutes.' })
  @ApiTerm()
  @ApiAnswer(TrendReport, { isStored: true })
  trends(@Param('term', TermPipe) term: string): Promise<TrendReport> {
    return this.insights.trends(term);
  }

  @Delete()
  @HttpCode(204)
  @PurgesResponses({ tags: [INSIGHTS] })
  @ApiOperation({
    summary: 'Purge the stored responses of the demo, in every process',
    description: 'The cached results of the methods stay.',
  })
  @ApiNoContentResponse({ description: 'Purged.' })
  purge(): void {
    // The decorator does it all, before the answer leaves.
  }
}
