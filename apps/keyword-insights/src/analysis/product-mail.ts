import type { Corpus } from '../corpus/corpus.js';
import type { Mail } from '../corpus/mail.js';
import { medianOf } from './median.js';
import { containsTerm } from './term.js';
import { scanInTurns } from './turn-queue.js';

const MOST_SENDERS = 10;
const MOST_OFFERS = 15;

export interface Offer {
  readonly subject: string;
  readonly domain: string;
  readonly sentAtMs: number | undefined;
  /** Lowest price in the mail, in US dollars. */
  readonly priceUsd: number;
}

export interface ProductFindings {
  /** Mails that name the shop. */
  readonly mails: number;
  readonly spamMails: number;
  /** Sender domains with the most such mails, at most 10. */
  readonly senders: readonly { readonly domain: string; readonly mails: number }[];
  /** Dollar amounts in those of them that are no spam, each once per mail. */
  readonly pricesFound: number;
  readonly medianPriceUsd: number;
  /** Newest first, at most 15. */
  readonly offers: readonly Offer[];
}

/**
 * Mails that name a shop (folded by `foldText`): who writes them, and what they offer at which price. Reads every mail. Spam is
 * counted, but what it offers is no offer.
 */
export async function findProductMails(corpus: Corpus, shop: string): Promise<ProductFindings> {
  const mentions: Mail[] = [];
  await scanInTurns(corpus.mails, (mail) => {
    if (containsTerm(mail.text, shop)) {
      mentions.push(mail);
    }
  });
  const priced = mentions.filter((mail) => !mail.isSpam).map((mail) => ({ mail, prices: pricesUsdIn(mail.text) }));
  const prices = priced.flatMap((entry) => entry.prices);
  return {
    mails: mentions.length,
    spamMails: mentions.filter((mail) => mail.isSpam).length,
    senders: sendersOf(mentions),
    pricesFound: prices.length,
    medianPriceUsd: Math.round(medianOf(prices) * 100) / 100,
    offers: priced
      .flatMap((entry) => offerOf(entry.mail, entry.prices))
      .sort(newestFirst)
      .slice(0, MOST_OFFERS),
  };
}

/** Different amounts such as `$1,299.95`, lowest first. Millions are fortunes that spam promises, not prices. */
export function pricesUsdIn(text: string): number[] {
  const amounts = new Set<number>();
  for (const found of text.matchAll(/\$ ?(\d{1,3}(?:,\d{3})+|\d{1,6})(\.\d{2})?(?![\d,]*\d)(?! ?million)/g)) {
    const amount = Number(`${found[1]?.replaceAll(',', '') ?? ''}${found[2] ?? ''}`);
    if (amount > 0 && amount < 1_000_000) {
      amounts.add(amount);
    }
  }
  return [...amounts].sort((left, right) => left - right);
}

function offerOf(mail: Mail, [priceUsd]: readonly number[]): Offer[] {
  return priceUsd === undefined
    ? []
    : [{ subject: mail.subject, domain: mail.domain, sentAtMs: mail.sentAtMs, priceUsd }];
}

function sendersOf(mails: readonly Mail[]): { domain: string; mails: number }[] {
  const mailsByDomain = new Map<string, number>();
  for (const { domain } of mails) {
    mailsByDomain.set(domain, (mailsByDomain.get(domain) ?? 0) + 1);
  }
  mailsByDomain.delete('');
  return [...mailsByDomain]
    .map(([domain, count]) => ({ domain, mails: count }))
    .sort((left, right) => right.mails - left.mails || (left.domain < right.domain ? -1 : 1))
    .slice(0, MOST_SENDERS);
}

function newestFirst(left: Offer, right: Offer): number {
  return (right.sentAtMs ?? 0) - (left.sentAtMs ?? 0);
}
