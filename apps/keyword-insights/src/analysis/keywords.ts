import type { Corpus } from '../corpus/corpus.js';
import { distinctWords } from '../corpus/words.js';
import { AssociationCounter } from './associations.js';
import type { Association } from './associations.js';
import { containsTerm } from './term.js';
import { scanInTurns } from './turn-queue.js';

const MOST_KEYWORDS = 20;

export interface KeywordFindings {
  /** Mails that contain the term, and how many of them are spam. */
  readonly mails: number;
  readonly spamMails: number;
  /** At most 20, strongest first. */
  readonly keywords: readonly Association[];
}

/** The words that go with a term (folded by `foldText`): reads every mail. */
export async function findKeywords(corpus: Corpus, term: string): Promise<KeywordFindings> {
  const counter = new AssociationCounter(corpus);
  let found = 0;
  let foundSpam = 0;
  await scanInTurns(corpus.mails, (mail) => {
    if (containsTerm(mail.text, term)) {
      counter.add(mail);
      found += 1;
      foundSpam += mail.isSpam ? 1 : 0;
    }
  });
  return { mails: found, spamMails: foundSpam, keywords: counter.strongest(MOST_KEYWORDS, distinctWords(term)) };
}
