import { fieldLines, type Fields, listMembers } from './fields.js';

/*
 * `Vary` (RFC 9110 section 12.5.5, RFC 9111 section 4.1): a stored response is used only for requests whose selecting
 * headers are equal to those of the request that it answered.
 */

/** The lower-case names that a response varies on, sorted; `*` when any member of any line is `*`. */
export function varyNames(fields: Fields): readonly string[] | '*' {
  const names = fieldLines(fields, 'vary')
    .flatMap(listMembers)
    .map((name) => name.toLowerCase());
  return names.includes('*') ? '*' : [...new Set(names)].toSorted();
}

/** The combined `Vary` of two sets of names, in the order in which they come: no name twice, in whatever case. */
export function mergeVary(...lists: readonly (readonly string[])[]): string {
  const byName = new Map(lists.flat().map((name) => [name.toLowerCase(), name]));
  return byName.has('*') ? '*' : [...byName.values()].join(', ');
}

/**
 * The canonical text of the selecting headers of a request: equal texts mean that the requests select the same response.
 * A header that is missing equals only one that is missing. Values are equal when they differ only in what their syntax
 * allows (section 4.1): blanks around commas, several lines for one, and for `Accept-Language` the case and the order of
 * members.
 */
export function selectionKey(names: readonly string[], requestFields: Fields): string {
  return JSON.stringify(names.map((name) => selectingValue(name, requestFields)));
}

function selectingValue(name: string, fields: Fields): string | null {
  const lines = fieldLines(fields, name);
  if (lines.length === 0) {
    return null;
  }
  const members = lines.flatMap(listMembers);
  return (name === 'accept-language' ? canonicalLanguages(members) : members).join(',');
}

const WEIGHT = /\s*;\s*q\s*=\s*(?<weight>[\d.]+)\s*$/;

/** Language ranges in lower case with their weights, in the order of the alphabet. */
function canonicalLanguages(members: readonly string[]): string[] {
  return members
    .map((member) => member.toLowerCase())
    .map((member) => ({
      range: member.replace(WEIGHT, ''),
      weight: Number(WEIGHT.exec(member)?.groups?.['weight'] ?? 1),
    }))
    .toSorted((a, b) => (a.range < b.range ? -1 : 1))
    .map(({ range, weight }) => (weight === 1 ? range : `${range};q=${weight}`));
}
