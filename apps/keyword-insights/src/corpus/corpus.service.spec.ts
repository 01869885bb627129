import { beforeAll, describe, expect, it } from 'vitest';
import { findDomainFigures } from '../analysis/domain-figures.js';
import { findKeywords } from '../analysis/keywords.js';
import { findProductMails } from '../analysis/product-mail.js';
import { findTrends } from '../analysis/trends.js';
import type { Corpus } from './corpus.js';
import { CorpusService } from './corpus.service.js';
import type { Mail } from './mail.js';

describe('the real corpus', () => {
  const service = new CorpusService();
  let corpus: Corpus;
  let mails: readonly Mail[];

  beforeAll(async () => {
    corpus = await service.load();
    mails = corpus.mails;
  });

  it('has the mails that the SpamAssassin project counts: 4150 wanted, 1896 not', () => {
    expect(mails.filter((mail) => !mail.isSpam)).toHaveLength(4150);
    expect(mails.filter((mail) => mail.isSpam)).toHaveLength(1896);
  });

  it('is read once, however many ask', async () => {
    const [first, second] = await Promise.all([service.load(), service.load()]);
    expect(first).toBe(corpus);
    expect(second).toBe(corpus);
  });

  it('has no mail from the future or from before its time', () => {
    const years = new Set(mails.map((mail) => new Date(mail.sentAtMs ?? 0).getUTCFullYear()));
    expect(years).toEqual(new Set([2001, 2002]));
  });

  it('is readable: nearly every mail has a sender and a text, none has replacement characters all over', () => {
    expect(mails.filter((mail) => mail.domain === '').length).toBeLessThan(10);
    expect(mails.filter((mail) => mail.bodyLength === 0).length).toBeLessThan(25);
    expect(mails.filter((mail) => mail.text.includes('\u{fffd}')).length).toBeLessThan(40);
  });

  it('links mortgages with refinancing, nearly all of it spam', async () => {
    const findings = await findKeywords(corpus, 'mortgage');
    expect(findings.keywords).toHaveLength(20);
    expect(findings.keywords[0]).toMatchObject({ word: 'refinance' });
    expect(findings.spamMails / findings.mails).toBeGreaterThan(0.9);
  });

  it('knows a newsletter: one sender, no spam', async () => {
    expect(await findDomainFigures(corpus, 'lockergnome.com')).toMatchObject({ mails: 30, senders: 1, spamShare: 0 });
  });

  it('has every mail in a month', async () => {
    const findings = await findTrends(corpus, 'linux');
    expect(findings.undatedMails).toBe(0);
    expect(findings.months.reduce((sum, month) => sum + month.allMails, 0)).toBe(mails.length);
    expect(findings.months.reduce((sum, month) => sum + month.mails, 0)).toBe(findings.mails);
  });

  it('finds offers that name amazon', async () => {
    const findings = await findProductMails(corpus, 'amazon');
    expect(findings.mails).toBeGreaterThan(20);
    expect(findings.senders.map((sender) => sender.domain)).toContain('amazon.com');
    expect(findings.offers.length).toBeGreaterThan(0);
  });
});
