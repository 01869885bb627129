import { decodeCharset, decodeTransfer } from './mail-encoding.js';
import { firstHeader, headerParameter, splitEntity } from './mail-headers.js';
import type { MailEntity } from './mail-headers.js';
import { withoutSignature } from './mail-signature.js';

/** Mails in mails in mails: real ones nest three deep, forged ones as deep as they like. */
const MAX_DEPTH = 8;

/** What a reader of the mail would see: text parts in order, without markup, headers and attachments. */
export function readableText(entity: MailEntity, depth = 0): string {
  const contentType = firstHeader(entity.headers, 'content-type');
  const mediaType = /^\s*([^\s;]+)/.exec(contentType)?.[1]?.toLowerCase() ?? 'text/plain';
  const boundary = headerParameter(contentType, 'boundary');
  if (mediaType.startsWith('multipart/') && boundary !== undefined && depth < MAX_DEPTH) {
    return multipartText(entity.body, boundary, mediaType === 'multipart/alternative', depth + 1);
  }
  if (mediaType === 'message/rfc822' && depth < MAX_DEPTH) {
    return readableText(splitEntity(entity.body), depth + 1);
  }
  const isAttachment = /^\s*attachment/i.test(firstHeader(entity.headers, 'content-disposition'));
  if (!/^(?:text|multipart)(?:\/|$)/.test(mediaType) || isAttachment) {
    return '';
  }
  const bytes = decodeTransfer(entity.body, firstHeader(entity.headers, 'content-transfer-encoding'));
  const text = decodeCharset(bytes, headerParameter(contentType, 'charset'));
  // Much spam sends HTML and calls it plain text, or says nothing.
  return mediaType === 'text/html' || /<(?:html|body|table|font)\b/i.test(text)
    ? textOfHtml(text)
    : withoutSignature(text);
}

function multipartText(body: string, boundary: string, isAlternative: boolean, depth: number): string {
  const pieces = `\n${body}`.split(new RegExp(`\\r?\\n--${escapeForRegExp(boundary)}[^\\r\\n]*`));
  // What stands before the first boundary is for programs that know no MIME. Without any boundary it is all there is.
  const parts = pieces.length > 1 ? pieces.slice(1) : pieces;
  const texts = parts
    .map((part) => readableText(splitEntity(part.replace(/^\r?\n/, '')), depth))
    .filter((text) => text.trim() !== '');
  // Alternatives say the same, the plainest first: counting both would double every word.
  return isAlternative ? (texts[0] ?? '') : texts.join('\n');
}

function escapeForRegExp(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['apos', "'"],
  ['copy', '©'],
  ['gt', '>'],
  ['lt', '<'],
  ['nbsp', ' '],
  ['quot', '"'],
  ['reg', '®'],
]);

/** Text of an HTML mail: scripts, styles and comments dropped, tags turned into spaces, the common entities decoded. */
export function textOfHtml(html: string): string {
  return (
    html
      .replaceAll(/<(script|style)\b[\s\S]*?(?:<\/\1\s*>|$)/gi, ' ')
      // Spam splits words with comments (`via<!-- x -->gra`): nothing takes their place, so that the word is whole again.
      .replaceAll(/<!--[\s\S]*?(?:-->|$)/g, '')
      .replaceAll(/<\/?(?:b|i|u|em|strong|font|span|a)\b[^>]*>/gi, '')
      .replaceAll(/<[a-z/!?][^>]*>/gi, ' ')
      .replaceAll(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));?/gi, (match, decimal, hex, name) =>
        decodeEntity(match, decimal, hex, name),
      )
  );
}

function decodeEntity(match: string, decimal: unknown, hex: unknown, name: unknown): string {
  if (typeof name === 'string') {
    return ENTITIES.get(name.toLowerCase()) ?? match;
  }
  const codePoint = typeof decimal === 'string' ? Number(decimal) : Number.parseInt(String(hex), 16);
  const isCharacter = codePoint > 0 && codePoint <= 0x10_ff_ff && (codePoint < 0xd8_00 || codePoint > 0xdf_ff);
  return isCharacter ? String.fromCodePoint(codePoint) : ' ';
}
