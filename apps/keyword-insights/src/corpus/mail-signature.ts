/** Longer than this it is no signature but a part of the text below a ruler. */
const LONGEST_SIGNATURE = 1200;

/**
 * Cuts what programs add below a mail: the signature (RFC 3676, 4.3) and the footer of a mailing list. The same footer stands in hundreds
 * of mails; with it every word of a list would seem to go with the list's administration most of all.
 */
export function withoutSignature(text: string): string {
  for (const line of text.matchAll(/^(?:--[ \t]*|_{20,}[ \t]*|-{40,}[ \t]*)\r?$/gm)) {
    // The first ruler near enough to the end: a list's footer stands below the author's signature.
    if (text.length - line.index <= LONGEST_SIGNATURE) {
      const above = text.slice(0, line.index);
      return above.trim() === '' ? text : above;
    }
  }
  return text;
}
