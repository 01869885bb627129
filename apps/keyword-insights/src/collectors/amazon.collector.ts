import { Inject, Injectable } from '@nestjs/common';
import { AsyncCache, InjectCache } from 'nestjs-distributed-cache';
import { findProductMails } from '../analysis/product-mail.js';
import type { Offer } from '../analysis/product-mail.js';
import { CorpusService } from '../corpus/corpus.service.js';
import { analysisFacts, isoOrNull } from '../insights/reports/analysed.report.js';
import type { AmazonOffer, AmazonReport } from './amazon.report.js';

/** Collects what mails say about one shop. It works with its own part of the cache, `amazon`, whose TTL stands in its module. */
@Injectable()
export class AmazonCollector {
  constructor(
    @InjectCache('amazon') private readonly cache: AsyncCache<AmazonReport>,
    @Inject(CorpusService) private readonly corpus: CorpusService,
  ) {}

  collect(): Promise<AmazonReport> {
    return this.cache.getOrSet('offers', () => this.read());
  }

  private async read(): Promise<AmazonReport> {
    const corpus = await this.corpus.load();
    const startedAtMs = performance.now();
    const { offers, ...findings } = await findProductMails(corpus, 'amazon');
    return { ...findings, offers: offers.map(asReported), ...analysisFacts(startedAtMs) };
  }
}

function asReported({ subject, domain, sentAtMs, priceUsd }: Offer): AmazonOffer {
  return { subject, domain, sentAt: isoOrNull(sentAtMs), priceUsd };
}
