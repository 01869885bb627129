import { Inject, Injectable } from '@nestjs/common';
import { CacheEvict, CachedKeywords, CachedMetrics, CachedTrends } from 'nestjs-distributed-cache';
import { findDomainFigures } from '../analysis/domain-figures.js';
import { findKeywords } from '../analysis/keywords.js';
import { findTrends } from '../analysis/trends.js';
import { CorpusService } from '../corpus/corpus.service.js';
import { analysisFacts, isoOrNull } from './reports/analysed.report.js';
import type { DomainReport } from './reports/domain.report.js';
import type { KeywordReport } from './reports/keyword.report.js';
import type { TrendReport } from './reports/trend.report.js';

/**
 * Three slow questions about the mails, each answered from the cache where it can be. Nothing here knows of Redis, of tiers or of
 * outages: without the decorators the answers are the same, only slower.
 *
 * Terms and domains come in one spelling (the pipes see to it), so they are keys as they are.
 */
@Injectable()
export class InsightsService {
  constructor(@Inject(CorpusService) private readonly corpus: CorpusService) {}

  @CachedKeywords({ key: (term: string) => term })
  async keywords(term: string): Promise<KeywordReport> {
    const corpus = await this.corpus.load();
    const startedAtMs = performance.now();
    const findings = await findKeywords(corpus, term);
    return { term, ...findings, ...analysisFacts(startedAtMs) };
  }

  /** The next question for the keywords of this term reads the mails again, in every process. */
  @CacheEvict({ namespace: 'keywords', key: (term: string) => term })
  async forgetKeywords(_term: string): Promise<void> {
    // The decorator does it all: it evicts once the method is through.
  }

  /** `undefined` for a domain that sent no mail; that answer is cached too. */
  @CachedMetrics({ key: (domain: string) => domain })
  async domainFigures(domain: string): Promise<DomainReport | undefined> {
    const corpus = await this.corpus.load();
    const startedAtMs = performance.now();
    const findings = await findDomainFigures(corpus, domain);
    if (findings === undefined) {
      return undefined;
    }
    const { firstAtMs, lastAtMs, busiestHourUtc = null, ...figures } = findings;
    const dates = { firstAt: isoOrNull(firstAtMs), lastAt: isoOrNull(lastAtMs), busiestHourUtc };
    return { domain, ...figures, ...dates, ...analysisFacts(startedAtMs) };
  }

  @CachedTrends({ key: (term: string) => term })
  async trends(term: string): Promise<TrendReport> {
    const corpus = await this.corpus.load();
    const startedAtMs = performance.now();
    const findings = await findTrends(corpus, term);
    return { term, ...findings, ...analysisFacts(startedAtMs) };
  }
}
