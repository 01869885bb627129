const QUOTE_BREAKERS = /['\\\p{Cs}]/u;
const EVERY_QUOTE_BREAKER = /['\\\p{Cs}]/gu;
const NAME_BREAKERS = /[.(\\]/;
const EVERY_NAME_BREAKER = /[.(\\]/g;
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/**
 * Quotes a text as `'text'`, with `'` and `\` escaped. A lone surrogate becomes `\ud800`, so a text that a user typed
 * is never a reason to refuse a call, although a raw key with one is refused.
 */
export function quoteText(text: string): string {
  return QUOTE_BREAKERS.test(text) ? `'${text.replace(EVERY_QUOTE_BREAKER, escapeInQuotes)}'` : `'${text}'`;
}

function escapeInQuotes(character: string): string {
  return character === "'" || character === '\\' ? `\\${character}` : `\\u${character.charCodeAt(0).toString(16)}`;
}

/** Escapes a class or method name, in which `.` and `(` are separators: `a.b` + `c` is never `a` + `b.c`. */
export function escapeName(name: string): string {
  return NAME_BREAKERS.test(name) ? name.replace(EVERY_NAME_BREAKER, String.raw`\$&`) : name;
}

export function isIdentifier(text: string): boolean {
  return IDENTIFIER.test(text);
}
