import { decodeCharset, decodeQuotedPrintable } from './mail-encoding.js';

/** Header fields by lower-case name, in the order of the mail; one name may occur often (`Received`). */
export type MailHeaders = ReadonlyMap<string, readonly string[]>;

export interface MailEntity {
  readonly headers: MailHeaders;
  /** One character per byte. */
  readonly body: string;
}

/** Splits a mail, or a part of a multipart one, at its first empty line. */
export function splitEntity(raw: string): MailEntity {
  const end = /\r?\n\r?\n/.exec(raw);
  // A part may have no header at all: then it begins with the empty line.
  const startsWithBody = /^\r?\n/.exec(raw);
  if (startsWithBody) {
    return { headers: new Map(), body: raw.slice(startsWithBody[0].length) };
  }
  return end
    ? { headers: parseHeaders(raw.slice(0, end.index)), body: raw.slice(end.index + end[0].length) }
    : { headers: parseHeaders(raw), body: '' };
}

function parseHeaders(block: string): MailHeaders {
  const headers = new Map<string, string[]>();
  const unfolded = block.replaceAll(/\r?\n[ \t]+/g, ' ');
  for (const line of unfolded.split(/\r?\n/)) {
    const field = /^([!-9;-~]+)[ \t]*:[ \t]*(.*)$/.exec(line);
    // Lines such as the mbox separator `From someone Thu Aug 22` are no fields.
    if (field?.[1] === undefined || field[2] === undefined) {
      continue;
    }
    const name = field[1].toLowerCase();
    const values = headers.get(name);
    if (values) {
      values.push(field[2].trim());
    } else {
      headers.set(name, [field[2].trim()]);
    }
  }
  return headers;
}

export function firstHeader(headers: MailHeaders, name: string): string {
  return headers.get(name)?.[0] ?? '';
}

/** A parameter such as `charset` or `boundary` of a Content-Type value. */
export function headerParameter(value: string, name: string): string | undefined {
  const found = new RegExp(`;\\s*${name}\\s*=\\s*(?:"([^"]*)"|([^\\s;]+))`, 'i').exec(value);
  return found?.[1] ?? found?.[2];
}

/** Encoded words (RFC 2047), as in `=?iso-8859-1?Q?Gr=FC=DFe?=`; other bytes are read like a body without a charset. */
export function decodeHeaderText(value: string): string {
  // Space between two encoded words is not part of the text (RFC 2047, 6.2).
  const joined = value.replaceAll(/\?=\s+=\?/g, '?==?');
  const parts = joined.split(/(=\?[^?\s]+\?[bq]\?[^?\s]*\?=)/i);
  return parts.map(decodeWord).join('');
}

function decodeWord(part: string): string {
  const word = /^=\?([^?\s]+)\?([bq])\?([^?\s]*)\?=$/i.exec(part);
  const [, charset, encoding, encoded] = word ?? [];
  if (charset === undefined || encoding === undefined || encoded === undefined) {
    return decodeCharset(part, undefined);
  }
  const bytes =
    encoding.toLowerCase() === 'b'
      ? Buffer.from(encoded, 'base64').toString('latin1')
      : decodeQuotedPrintable(encoded.replaceAll('_', ' '));
  return decodeCharset(bytes, charset);
}

/** The address in a From value; empty where there is none that looks like one. */
export function addressOf(from: string): string {
  const address =
    /<\s*([^<>\s]+@[^<>\s]+)\s*>/.exec(from)?.[1] ?? /[^\s<>()[\]",;:]+@[^\s<>()[\]",;:]+/.exec(from)?.[0];
  return address?.toLowerCase() ?? '';
}

export function domainOf(address: string): string {
  const domain = address.slice(address.lastIndexOf('@') + 1).replace(/\.$/, '');
  return address.includes('@') && /^[a-z0-9][a-z0-9.-]*$/.test(domain) ? domain : '';
}
