import { TextDecoder } from 'node:util';

/*
 * Mails are read one character per byte ('latin1'), because a mail may hold several charsets and some lie about theirs.
 * Only what is left after the transfer encoding is decoded as text.
 */

const decoders = new Map<string, TextDecoder>();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** Names under which programs send Windows-1252; ASCII and ISO-8859-1 are parts of it, and often say less than they hold. */
const WINDOWS_1252_LABELS: ReadonlySet<string> = new Set([
  'us-ascii',
  'iso-8859-1',
  'latin1',
  'windows-1252',
  'cp1252',
]);
/** Its bytes 0x80 to 0x9F; all others are the code points of the same number. Some releases of Node decode these as controls. */
const WINDOWS_1252_UPPER = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

/** Text of a string of bytes. A charset that is missing, unknown or wrong never throws: then it is UTF-8 if it can be, else Windows-1252. */
export function decodeCharset(bytes: string, charset: string | undefined): string {
  // Most mails are plain ASCII; ISO-2022 hides its characters in seven bits.
  if (!/[\u0080-\u00ff]/.test(bytes) && !charset?.toLowerCase().startsWith('iso-2022')) {
    return bytes;
  }
  const buffer = Buffer.from(bytes, 'latin1');
  const decoder = charset === undefined ? undefined : decoderFor(charset);
  if (decoder) {
    return decoder.decode(buffer);
  }
  try {
    return strictUtf8.decode(buffer);
  } catch {
    return decodeWindows1252(bytes);
  }
}

function decodeWindows1252(bytes: string): string {
  return bytes.replaceAll(/[\u0080-\u009f]/g, (byte) => WINDOWS_1252_UPPER.charAt(byte.charCodeAt(0) - 0x80));
}

function decoderFor(charset: string): TextDecoder | undefined {
  const label = charset.toLowerCase();
  // Such a label on other bytes is common: whether they are UTF-8 says more.
  if (WINDOWS_1252_LABELS.has(label)) {
    return undefined;
  }
  const known = decoders.get(label);
  if (known) {
    return known;
  }
  try {
    const decoder = new TextDecoder(label);
    decoders.set(label, decoder);
    return decoder;
  } catch {
    // Spam programs leave placeholders such as `DEFAULT_CHARSET` behind.
    return undefined;
  }
}

/** Undoes a Content-Transfer-Encoding; bytes in, bytes out. An encoding it does not know leaves the bytes as they are. */
export function decodeTransfer(body: string, encoding: string): string {
  switch (encoding.trim().toLowerCase()) {
    case 'quoted-printable':
      return decodeQuotedPrintable(body);
    case 'base64':
      return Buffer.from(body, 'base64').toString('latin1');
    default:
      return body;
  }
}

export function decodeQuotedPrintable(body: string): string {
  return body
    .replaceAll(/[ \t]*=\r?\n/g, '')
    .replaceAll(/=([0-9a-f]{2})/gi, (_match, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)));
}
