/**
 * One spelling for what readers take as the same: NFC, lower case, straight apostrophes, every run of white space one space, trimmed.
 * Mails and the terms that are looked for in them go through the same fold.
 */
export function foldText(text: string): string {
  return text.normalize('NFC').toLowerCase().replaceAll(/[‘’]/g, "'").replaceAll(/\s+/g, ' ').trim();
}
