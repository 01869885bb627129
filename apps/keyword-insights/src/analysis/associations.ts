import type { Corpus } from '../corpus/corpus.js';
import type { Mail } from '../corpus/mail.js';
import { distinctWords } from '../corpus/words.js';

/*
 * Which words go with a set of mails? For each word a table of four counts: mails inside and outside the set, with and without the
 * word. The score is the log-likelihood ratio of "the word is more frequent inside" against "it is equally frequent everywhere":
 * T. Dunning, Accurate Methods for the Statistics of Surprise and Coincidence, Computational Linguistics 19(1), 1993. Unlike
 * pointwise mutual information it does not put words that occur once or twice on top.
 */

/** A word and how strongly it goes with the set. */
export interface Association {
  readonly word: string;
  /** Log-likelihood ratio; above 10.83 such a difference comes about by chance less than once in a thousand times. */
  readonly score: number;
  /** Mails of the set that contain the word. */
  readonly mails: number;
}

/** One mail is an anecdote. */
const FEWEST_MAILS = 2;

export class AssociationCounter {
  private readonly insideByWord = new Map<string, number>();
  private inside = 0;

  /** @param corpus what the set is a part of */
  constructor(private readonly corpus: Corpus) {}

  /** Counts one mail of the set. */
  add(mail: Mail): void {
    this.inside += 1;
    for (const word of distinctWords(mail.text)) {
      this.insideByWord.set(word, (this.insideByWord.get(word) ?? 0) + 1);
    }
  }

  /** The words that are more frequent inside than outside, strongest first, at most `limit`; never one of `except`. */
  strongest(limit: number, except: ReadonlySet<string> = new Set()): Association[] {
    const outside = this.corpus.mails.length - this.inside;
    const found: Association[] = [];
    for (const [word, mails] of this.insideByWord) {
      const mailsOutside = (this.corpus.mailsByWord.get(word) ?? mails) - mails;
      const isMoreFrequentInside = mails * outside > mailsOutside * this.inside;
      if (mails >= FEWEST_MAILS && isMoreFrequentInside && !except.has(word)) {
        found.push({ word, mails, score: logLikelihoodRatio(mails, this.inside, mailsOutside, outside) });
      }
    }
    // Equal scores by name: the same question must have the same answer in every process.
    found.sort((left, right) => right.score - left.score || (left.word < right.word ? -1 : 1));
    return found
      .slice(0, limit)
      .map(({ word, score, mails }) => ({ word, score: Math.round(score * 100) / 100, mails }));
  }
}

/** Dunning's ratio for `hits` of `total` inside against `otherHits` of `otherTotal` outside; 0 where both are equally frequent. */
export function logLikelihoodRatio(hits: number, total: number, otherHits: number, otherTotal: number): number {
  const all = total + otherTotal;
  const allHits = hits + otherHits;
  const surprise = (observed: number, expected: number): number =>
    observed === 0 ? 0 : observed * Math.log(observed / expected);
  const sum =
    surprise(hits, (total * allHits) / all) +
    surprise(total - hits, (total * (all - allHits)) / all) +
    surprise(otherHits, (otherTotal * allHits) / all) +
    surprise(otherTotal - otherHits, (otherTotal * (all - allHits)) / all);
  return Math.max(0, 2 * sum);
}
