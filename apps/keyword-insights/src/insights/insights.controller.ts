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
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import { DomainPipe } from './domain.pipe.js';
import { InsightsService } from './insights.service.js';
import { DomainReport } from './reports/domain.report.js';
import { KeywordReport } from './reports/keyword.report.js';
import { TrendReport } from './reports/trend.report.js';
import { TermPipe } from './term.pipe.js';

@ApiTags('insights')
@Controller('insights')
export class InsightsController {
  constructor(@Inject(InsightsService) private readonly insights: InsightsService) {}

  @Get('keywords/:term')
  @ApiOperation({ summary: 'Words that go with a term', description: 'Cached for 24 hours.' })
  @ApiParam({ name: 'term', type: String, example: 'linux' })
  @ApiOkResponse({ type: KeywordReport })
  @ApiBadRequestResponse({ description: 'The term is blank or too long.' })
  keywords(@Param('term', TermPipe) term: string): Promise<KeywordReport> {
    return this.insights.keywords(term);
  }

  @Delete('keywords/:term')
  @HttpCode(204)
  @ApiOperation({ summary: 'Forget the cached keywords of a term, in every process' })
  @ApiParam({ name: 'term', type: String, example: 'linux' })
  @ApiNoContentResponse({ description: 'Forgotten, or was not there.' })
  @ApiBadRequestResponse({ description: 'The term is blank or too long.' })
  forgetKeywords(@Param('term', TermPipe) term: string): Promise<void> {
    return this.insights.forgetKeywords(term);
  }

  @Get('domains/:domain')
  @ApiOperation({
    summary: 'Figures of a sender domain',
    description: 'Cached for 12 hours, an unknown domain for a minute.',
  })
  @ApiParam({ name: 'domain', type: String, example: 'lockergnome.com' })
  @ApiOkResponse({ type: DomainReport })
  @ApiBadRequestResponse({ description: 'The domain is blank or too long.' })
  @ApiNotFoundResponse({ description: 'No mail came from this domain.' })
  async domainFigures(@Param('domain', DomainPipe) domain: string): Promise<DomainReport> {
    const report = await this.insights.domainFigures(domain);
    if (report === undefined) {
      throw new NotFoundException(`No mail in the corpus came from ${domain}.`);
    }
    return report;
  }

  @Get('trends/:term')
  @ApiOperation({ summary: 'How often a term was written, by month', description: 'Cached for 6 hours.' })
  @ApiParam({ name: 'term', type: String, example: 'linux' })
  @ApiOkResponse({ type: TrendReport })
  @ApiBadRequestResponse({ description: 'The term is blank or too long.' })
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
