import { describe, expect, it } from 'vitest';
import { foldText } from '../corpus/fold-text.js';
import { corpusOf } from '../corpus/corpus.js';
import type { Mail } from '../corpus/mail.js';
import { AssociationCounter, logLikelihoodRatio } from './associations.js';
import { findDomainFigures, normaliseDomain } from './domain-figures.js';
import { findKeywords } from './keywords.js';
import { medianOf } from './median.js';
import { findProductMails, pricesUsdIn } from './product-mail.js';
import { containsTerm, countTerm } from './term.js';
import { findTrends } from './trends.js';
import { countWords, distinctWords } from '../corpus/words.js';

function mail(text: string, given: Partial<Mail> = {}): Mail {
  return {
    id: 'easy-ham-1/00001',
    isSpam: false,
    sender: 'ann@example.org',
    domain: 'example.org',
    subject: text,
    sentAtMs: Date.UTC(2002, 7, 1, 10),
    text,
    wordCount: countWords(text),
    bodyLength: text.length,
    ...given,
  };
}

describe('terms', () => {
  it('gives one spelling to one term', () => {
    expect(foldText('  Operating\n System ')).toBe('operating system');
    expect(foldText('CAFE\u0301')).toBe('café');
  });

  it('finds whole words only', () => {
    expect(containsTerm('a fresh start', 'art')).toBe(false);
    expect(containsTerm('start of the art', 'art')).toBe(true);
    expect(containsTerm('see amazon.com.', 'amazon.com')).toBe(true);
    expect(containsTerm('élan', 'lan')).toBe(false);
    expect(containsTerm('anything', '')).toBe(false);
  });

  it('counts every occurrence', () => {
    expect(countTerm('art, the art, artful, (art)', 'art')).toBe(3);
  });

  it('keeps words with inner apostrophes and hyphens, and no stop words', () => {
    expect([...distinctWords("the e-mail isn't über, e-mail x1 x")]).toEqual(['e-mail', "isn't", 'über']);
  });
});

describe('associations', () => {
  it('scores as the published formula does', () => {
    // 10 of 10 against 0 of 10: 2 * (10 ln 2 + 10 ln 2) = 40 ln 2
    expect(logLikelihoodRatio(10, 10, 0, 10)).toBeCloseTo(40 * Math.log(2), 10);
    expect(logLikelihoodRatio(3, 10, 3, 10)).toBe(0);
  });

  it('leaves out words that are rarer inside, and words of a single mail', () => {
    const inside = [mail('kernel once'), mail('kernel common')];
    const outside = [mail('common elsewhere'), mail('common elsewhere')];
    const counter = new AssociationCounter(corpusOf([...inside, ...outside]));
    for (const one of inside) {
      counter.add(one);
    }
    expect(counter.strongest(10).map((entry) => entry.word)).toEqual(['kernel']);
  });
});

describe('keywords', () => {
  const corpus = corpusOf([
    mail('linux kernel boot'),
    mail('linux kernel driver', { isSpam: true }),
    mail('linux kernel'),
    mail('garden flowers'),
    mail('garden tools'),
  ]);

  it('puts the word that goes with the term on top and leaves out the term itself', async () => {
    const findings = await findKeywords(corpus, 'linux');
    expect(findings).toMatchObject({ mails: 3, spamMails: 1 });
    expect(findings.keywords).toEqual([{ word: 'kernel', mails: 3, score: 6.73 }]);
  });

  it('finds nothing for a term that no mail contains', async () => {
    expect(await findKeywords(corpus, 'quantum')).toEqual({ mails: 0, spamMails: 0, keywords: [] });
  });
});

describe('domain figures', () => {
  const corpus = corpusOf([
    mail('four', { bodyLength: 4, sentAtMs: Date.UTC(2002, 0, 2, 23) }),
    mail('sixsix', { bodyLength: 6, isSpam: true, sender: 'bob@mail.example.org', domain: 'mail.example.org' }),
    mail('ten letters', { bodyLength: 10, sentAtMs: undefined }),
    mail('ask example.org', { sender: 'eve@other.net', domain: 'other.net' }),
    mail('not ours', { domain: 'counterexample.org' }),
  ]);

  it('counts the domain and its subdomains', async () => {
    expect(await findDomainFigures(corpus, 'example.org')).toEqual({
      mails: 3,
      spamShare: 1 / 3,
      senders: 2,
      firstAtMs: Date.UTC(2002, 0, 2, 23),
      lastAtMs: Date.UTC(2002, 7, 1, 10),
      medianLength: 6,
      busiestHourUtc: 10,
      mentionedElsewhere: 1,
      typicalWords: [],
    });
  });

  it('knows nothing of a domain that sent no mail, nor of a bare ending', async () => {
    expect(await findDomainFigures(corpus, 'nowhere.test')).toBeUndefined();
    expect(await findDomainFigures(corpus, 'org')).toBeUndefined();
    expect(await findDomainFigures(corpus, '')).toBeUndefined();
  });

  it('has no dates where no mail has one', async () => {
    const undated = corpusOf([mail('x', { sentAtMs: undefined })]);
    expect(await findDomainFigures(undated, 'example.org')).toMatchObject({
      firstAtMs: undefined,
      lastAtMs: undefined,
      busiestHourUtc: undefined,
    });
  });

  it('gives one spelling to one domain', () => {
    expect(normaliseDomain(' Example.ORG. ')).toBe('example.org');
  });

  it('takes the mean of the middle two', () => {
    expect(medianOf([4, 1, 2, 9])).toBe(3);
    expect(medianOf([])).toBe(0);
  });
});

describe('trends', () => {
  it('counts by month and keeps undated mails out of the months', async () => {
    const findings = await findTrends(
      corpusOf([
        mail('java java again'),
        mail('nothing here'),
        mail('java', { sentAtMs: Date.UTC(2002, 5, 30) }),
        mail('java', { sentAtMs: undefined }),
      ]),
      'java',
    );
    expect(findings).toEqual({
      mails: 3,
      undatedMails: 1,
      months: [
        { month: '2002-06', mails: 1, allMails: 1, share: 1, perMillionWords: 1_000_000 },
        { month: '2002-08', mails: 1, allMails: 2, share: 0.5, perMillionWords: 400_000 },
      ],
    });
  });
});

describe('product mails', () => {
  it('reads dollar amounts and no fortunes', () => {
    expect(pricesUsdIn('was $1,299.95 now $ 999, only $5. win $25 million or $30,000,000')).toEqual([5, 999, 1299.95]);
  });

  it('counts spam, but takes no offer from it', async () => {
    const findings = await findProductMails(
      corpusOf([
        mail('amazon book $12.50', { sentAtMs: Date.UTC(2002, 1, 1) }),
        mail('amazon lamp $20 or $30', { domain: 'shop.test' }),
        mail('amazon $1', { isSpam: true }),
        mail('garden $3'),
      ]),
      'amazon',
    );
    expect(findings).toMatchObject({ mails: 3, spamMails: 1, pricesFound: 3, medianPriceUsd: 20 });
    expect(findings.senders).toEqual([
      { domain: 'example.org', mails: 2 },
      { domain: 'shop.test', mails: 1 },
    ]);
    expect(findings.offers.map((offer) => [offer.subject, offer.priceUsd])).toEqual([
      ['amazon lamp $20 or $30', 20],
      ['amazon book $12.50', 12.5],
    ]);
  });
});
