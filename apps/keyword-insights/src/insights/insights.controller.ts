import {
  BadRequestException,
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  NotFoundException,
  Param,
} from '@nestjs/common';
import {
  ApiBadRequestResponse,
  ApiExcludeEndpoint,
  ApiNoContentResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import { HttpCache } from 'nestjs-distributed-cache/http';
import { ApiAnswer, ApiDomain, ApiTerm } from './api-answer.js';
import { DomainPipe } from './domain.pipe.js';
import { InsightsService } from './insights.service.js';
import { DomainReport } from './reports/domain.report.js';
import { KeywordReport } from './reports/keyword.report.js';
import { TrendReport } from './reports/trend.report.js';
import { TermPipe } from './term.pipe.js';

/** The tag of the stored responses that show the keywords of a term. */
export function keywordsTag(term: string): string {
  return `keywords:${term}`;
}

/** @throws NotFoundException if there is no report of the domain */
export function foundReport(report: DomainReport | undefined, domain: string): DomainReport {
  if (report === undefined) {
    throw new NotFoundException(`No mail in the corpus came from ${domain}.`);
  }
  return report;
}

/** Answers from the cached results of the service. The routes of `ResponsesController` store the whole responses. */
@ApiTags('insights')
@Controller('insights')
export class InsightsController {
  constructor(
    @Inject(InsightsService) private readonly insights: InsightsService,
    @Inject(HttpCache) private readonly responses: HttpCache,
  ) {}

  @Get('keywords/:term')
  @ApiOperation({ summary: 'Words that go with a term', description: 'Cached for 24 hours.' })
  @ApiTerm()
  @ApiAnswer(KeywordReport, { isStored: false })
  keywords(@Param('term', TermPipe) term: string): Promise<KeywordReport> {
    return this.insights.keywords(term);
  }

  @Delete('keywords/:term')
  @HttpCode(204)
  @ApiOperation({ summary: 'Forget the cached keywords of a term and their stored responses, in every process' })
  @ApiTerm()
  @ApiNoContentResponse({ description: 'Forgotten, or was not there.' })
  @ApiBadRequestResponse({ description: 'The term is blank or too long.' })
  async forgetKeywords(@Param('term', TermPipe) term: string): Promise<void> {
    await this.insights.forgetKeywords(term);
    await this.responses.purgeTags(keywordsTag(term));
  }

  @Get('domains/:domain')
  @ApiOperation({
    summary: 'Figures of a sender domain',
    description: 'Cached for 12 hours, an unknown domain for a minute.',
  })
  @ApiDomain()
  @ApiAnswer(DomainReport, { isStored: false })
  async domainFigures(@Param('domain', DomainPipe) domain: string): Promise<DomainReport> {
    return foundReport(await this.insights.domainFigures(domain), domain);
  }

  @Get('trends/:term')
  @ApiOperation({ summary: 'How often a term was written, by month', description: 'Cached for 6 hours.' })
  @ApiTerm()
  @ApiAnswer(TrendReport, { isStored: false })
  trends(@Param('term', TermPipe) term: string): Promise<TrendReport> {
    return this.insights.trends(term);
  }

  /** `/insights/keywords/` without a term is as blank as `/insights/keywords/%20`. */
  @Get(['keywords', 'domains', 'trends'])
  @ApiExcludeEndpoint()
  refuseNothing(): never {
    throw new BadRequestException('Add a term or a domain, for instance /insights/keywords/linux.');
  }
}
