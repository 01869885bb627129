import { foldText } from './fold-text.js';
import type { Mail } from './mail.js';
import { sentAtMsOf } from './mail-date.js';
import { addressOf, decodeHeaderText, domainOf, firstHeader, splitEntity } from './mail-headers.js';
import { readableText } from './mail-text.js';
import { countWords } from './words.js';

/**
 * Reads one mail.
 * @param raw the whole mail with headers, one character per byte (`latin1`); nothing in it makes this throw
 */
export function parseMail(raw: string, id: string, isSpam: boolean): Mail {
  const entity = splitEntity(raw);
  const sender = addressOf(firstHeader(entity.headers, 'from'));
  const subject = collapseSpace(decodeHeaderText(firstHeader(entity.headers, 'subject')));
  const body = collapseSpace(readableText(entity));
  const text = foldText(`${subject} ${body}`);
  return {
    id,
    isSpam,
    sender,
    domain: domainOf(sender),
    subject,
    sentAtMs: sentAtMsOf(entity.headers),
    text,
    wordCount: countWords(text),
    bodyLength: body.length,
  };
}

function collapseSpace(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
