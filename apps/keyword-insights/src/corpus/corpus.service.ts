import { readFile } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { WordCensus } from './corpus.js';
import type { Corpus } from './corpus.js';
import { findMailFiles } from './corpus-location.js';
import type { Mail } from './mail.js';
import { parseMail } from './mail-parser.js';

/** Files read at a time: enough to keep the disk busy, few enough that the mails parsed in one turn of the event loop are few too. */
const READERS = 8;

/** The mails, read from disk on first use and kept: they never change while the program runs. */
@Injectable()
export class CorpusService {
  private loading: Promise<Corpus> | undefined;

  /** All mails in the data set's own order. The first call takes one or two seconds; a failed one is tried again by the next. */
  load(): Promise<Corpus> {
    this.loading ??= this.read().catch((error: unknown) => {
      this.loading = undefined;
      throw error;
    });
    return this.loading;
  }

  private async read(): Promise<Corpus> {
    const files = await findMailFiles();
    const mails: Mail[] = [];
    const census = new WordCensus();
    const remaining = files.entries();
    const readRemaining = async (): Promise<void> => {
      for (const [index, file] of remaining) {
        const mail = parseMail(await readFile(file.path, 'latin1'), file.id, file.isSpam);
        census.add(mail);
        mails[index] = mail;
      }
    };
    await Promise.all(Array.from({ length: READERS }, readRemaining));
    return { mails, mailsByWord: census.wordsOfSeveralMails() };
  }
}
