/** One mail of the corpus, reduced to what the analyses read. */
export interface Mail {
  /** Folder and number in the data set, for instance `spam-1/00005`. */
  readonly id: string;
  readonly isSpam: boolean;
  /** Address of the From header in lower case; empty where the header names none. */
  readonly sender: string;
  /** Domain of {@link sender}; empty where there is none. */
  readonly domain: string;
  readonly subject: string;
  /** When it was sent, in Unix milliseconds; `undefined` where no date in the mail can be believed. */
  readonly sentAtMs: number | undefined;
  /** Subject and body as the analyses search them, folded by `foldText`. */
  readonly text: string;
  /** Words in {@link text}, repeated ones as often as they are. */
  readonly wordCount: number;
  /** Characters of the readable body. */
  readonly bodyLength: number;
}
