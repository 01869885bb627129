import type { Mail } from './mail.js';
import { distinctWords } from './words.js';

/** All mails, and what every question compares with: in how many of them each word stands. */
export interface Corpus {
  readonly mails: readonly Mail[];
  /** Number of mails by word. Words of a single mail are not in it: they can't go with anything. */
  readonly mailsByWord: ReadonlyMap<string, number>;
}

/** Counts mails one by one, so that the counting can be spread over the reading. */
export class WordCensus {
  private readonly mailsByWord = new Map<string, number>();

  add(mail: Mail): void {
    for (const word of distinctWords(mail.text)) {
      this.mailsByWord.set(word, (this.mailsByWord.get(word) ?? 0) + 1);
    }
  }

  /** Two thirds of the words are typing errors, addresses and other words of one mail. */
  wordsOfSeveralMails(): Map<string, number> {
    return new Map([...this.mailsByWord].filter(([, mails]) => mails > 1));
  }
}

/** A corpus of mails that are all there already. */
export function corpusOf(mails: readonly Mail[]): Corpus {
  const census = new WordCensus();
  for (const mail of mails) {
    census.add(mail);
  }
  return { mails, mailsByWord: census.wordsOfSeveralMails() };
}
