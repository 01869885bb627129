import type { Corpus } from '../corpus/corpus.js';
import type { Mail } from '../corpus/mail.js';
import { AssociationCounter } from './associations.js';
import type { Association } from './associations.js';
import { medianOf } from './median.js';
import { containsTerm } from './term.js';
import { scanInTurns } from './turn-queue.js';

const MOST_WORDS = 10;

export interface DomainFindings {
  /** Mails sent from the domain and its subdomains. */
  readonly mails: number;
  /** From 0 to 1. */
  readonly spamShare: number;
  /** Different addresses. */
  readonly senders: number;
  /** Unix milliseconds; `undefined` where no mail has a date that can be believed. */
  readonly firstAtMs: number | undefined;
  readonly lastAtMs: number | undefined;
  /** Median length of the readable bodies, in characters. */
  readonly medianLength: number;
  /** The hour of the day, UTC, in which most mails were sent; the earliest of several. */
  readonly busiestHourUtc: number | undefined;
  /** Mails from elsewhere that write the domain's name. */
  readonly mentionedElsewhere: number;
  /** Words by which its mails differ from the others, at most 10. */
  readonly typicalWords: readonly Association[];
}

/** Domains are compared as they are written in addresses: trimmed, NFC, lower case, without the root's dot. */
export function normaliseDomain(domain: string): string {
  return domain.normalize('NFC').trim().toLowerCase().replace(/\.$/, '');
}

/**
 * Figures of a sender domain (normalised) and its subdomains: reads every mail.
 * @returns `undefined` where no mail came from the domain
 */
export async function findDomainFigures(corpus: Corpus, domain: string): Promise<DomainFindings | undefined> {
  const isOurs = (mail: Mail): boolean => belongsTo(mail.domain, domain);
  const ours = corpus.mails.filter(isOurs);
  if (ours.length === 0) {
    return undefined;
  }
  const counter = new AssociationCounter(corpus);
  let mentionedElsewhere = 0;
  await scanInTurns(corpus.mails, (mail) => {
    if (isOurs(mail)) {
      counter.add(mail);
    } else if (containsTerm(mail.text, domain)) {
      mentionedElsewhere += 1;
    }
  });
  const dates = ours
    .flatMap((mail) => (mail.sentAtMs === undefined ? [] : [mail.sentAtMs]))
    .sort((left, right) => left - right);
  return {
    mails: ours.length,
    spamShare: ours.filter((mail) => mail.isSpam).length / ours.length,
    senders: new Set(ours.map((mail) => mail.sender)).size,
    firstAtMs: dates[0],
    lastAtMs: dates.at(-1),
    medianLength: Math.round(medianOf(ours.map((mail) => mail.bodyLength))),
    busiestHourUtc: busiestHourUtcOf(dates),
    mentionedElsewhere,
    typicalWords: counter.strongest(MOST_WORDS),
  };
}

function belongsTo(mailDomain: string, domain: string): boolean {
  // A name without a dot, such as `com`, is no sender: it stands for itself only.
  return domain !== '' && (mailDomain === domain || (domain.includes('.') && mailDomain.endsWith(`.${domain}`)));
}

function busiestHourUtcOf(datesMs: readonly number[]): number | undefined {
  const mailsByHour = Array.from({ length: 24 }, () => 0);
  for (const atMs of datesMs) {
    const hour = new Date(atMs).getUTCHours();
    mailsByHour[hour] = (mailsByHour[hour] ?? 0) + 1;
  }
  return datesMs.length === 0 ? undefined : mailsByHour.indexOf(Math.max(...mailsByHour));
}
