/*
 * Header fields as `node:http` gives them (RFC 9110 section 5). The functions here split text into its members; they
 * give no field a meaning.
 */

/** The header fields of a message by lower-case name. Several lines of one field are an array. */
export type Fields = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** A token (RFC 9110 section 5.6.2), at the start of a text. */
export const LEADING_TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+/;

/** The lines of a field, in their order; empty when the message does not have it. */
export function fieldLines(fields: Fields, name: string): readonly string[] {
  const value = fields[name];
  if (value === undefined) {
    return [];
  }
  return typeof value === 'object' ? value : [`${value}`];
}

/** The value of a field as one text: its lines joined by commas; empty when there is none. */
export function joined(value: Fields[string]): string {
  return value === undefined ? '' : [value].flat().join(', ');
}

/** The members of the value of a field. */
export function membersOf(value: Fields[string]): string[] {
  return listMembers(joined(value));
}

/** The combined value of a field (RFC 9110 section 5.3): its lines, joined by commas. */
export function fieldText(fields: Fields, name: string): string | undefined {
  const lines = fieldLines(fields, name);
  return lines.length === 0 ? undefined : lines.join(', ');
}

/**
 * The members of a list (RFC 9110 section 5.6.1), without blanks around them and without empty ones. A comma inside a
 * quoted string separates nothing. Where a quote is never closed, quotes have no meaning: a broken member must not hide
 * the ones behind it.
 */
export function listMembers(text: string): string[] {
  return (splitOutsideQuotes(text) ?? text.split(',')).map((member) => member.trim()).filter((member) => member !== '');
}

/** @returns `undefined` when a quoted string has no end */
function splitOutsideQuotes(text: string): string[] | undefined {
  const members: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (isQuoted && character === '\\') {
      index++;
    } else if (character === '"') {
      isQuoted = !isQuoted;
    } else if (character === ',' && !isQuoted) {
      members.push(text.slice(start, index));
      start = index + 1;
    }
  }
  members.push(text.slice(start));
  return isQuoted ? undefined : members;
}

/** The text of a quoted string (RFC 9110 section 5.6.4), or the text itself when it is not one. */
export function unquoted(text: string): string {
  return /^".*"$/s.test(text) ? text.slice(1, -1).replaceAll(/\\(.)/gs, '$1') : text;
}
