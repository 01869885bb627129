import type { Corpus } from '../corpus/corpus.js';
import { countTerm } from './term.js';
import { scanInTurns } from './turn-queue.js';

export interface MonthFindings {
  /** `2002-08`, by UTC. */
  readonly month: string;
  /** Mails of the month that contain the term. */
  readonly mails: number;
  /** All mails of the month. */
  readonly allMails: number;
  /** `mails / allMails`, from 0 to 1. */
  readonly share: number;
  /** How often the term was written per million words of the month: months of long mails and of short ones compare. */
  readonly perMillionWords: number;
}

export interface TrendFindings {
  readonly mails: number;
  /** Mails with the term that have no date to be believed: they are in {@link mails} and in no month. */
  readonly undatedMails: number;
  /** Every month of which the corpus has mails, in order. */
  readonly months: readonly MonthFindings[];
}

interface MonthCounts {
  mails: number;
  allMails: number;
  occurrences: number;
  words: number;
}

/** How often a term (folded by `foldText`) was written, by month: reads every mail. */
export async function findTrends(corpus: Corpus, term: string): Promise<TrendFindings> {
  const byMonth = new Map<string, MonthCounts>();
  let found = 0;
  let undatedMails = 0;
  await scanInTurns(corpus.mails, (mail) => {
    const occurrences = countTerm(mail.text, term);
    const hit = occurrences > 0 ? 1 : 0;
    found += hit;
    if (mail.sentAtMs === undefined) {
      undatedMails += hit;
      return;
    }
    const counts = countsOf(byMonth, new Date(mail.sentAtMs).toISOString().slice(0, 7));
    counts.mails += hit;
    counts.allMails += 1;
    counts.occurrences += occurrences;
    counts.words += mail.wordCount;
  });
  const months = [...byMonth]
    .map(([month, counts]) => monthFindings(month, counts))
    .sort((left, right) => (left.month < right.month ? -1 : 1));
  return { mails: found, undatedMails, months };
}

function countsOf(byMonth: Map<string, MonthCounts>, month: string): MonthCounts {
  const known = byMonth.get(month);
  if (known) {
    return known;
  }
  const counts = { mails: 0, allMails: 0, occurrences: 0, words: 0 };
  byMonth.set(month, counts);
  return counts;
}

function monthFindings(month: string, { mails, allMails, occurrences, words }: MonthCounts): MonthFindings {
  const perMillionWords = words === 0 ? 0 : Math.round((occurrences / words) * 1_000_000);
  return { month, mails, allMails, share: mails / allMails, perMillionWords };
}
