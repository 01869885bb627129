import { OPTION_LEVELS } from './derived.js';

/**
 * A hint for an unknown option: a similar name at this level, or the same name at another level. For example,
 * `maxMemoryMb` is often given at the top.
 */
export function hint(name: string, path: string, known: readonly string[]): string {
  const elsewhere = OPTION_LEVELS.find((level) => level.path !== path && Object.hasOwn(level.options, name));
  const meant = elsewhere ? `${elsewhere.path}${name}` : suggest(name, known);
  return meant === undefined ? '' : `; did you mean "${meant}"?`;
}

/** The name that was probably meant: one of `names` that differs in a few letters, or that contains `given`. */
export function suggest(given: string, names: readonly string[]): string | undefined {
  const wanted = given.toLowerCase();
  const withoutUnit = names.find((name) => wanted === `${name.toLowerCase()}ms`);
  if (withoutUnit !== undefined) {
    return withoutUnit;
  }
  const ranked = names
    .map((name) => ({ name, distance: editDistance(wanted, name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const [nearest] = ranked;
  if (nearest && nearest.distance <= allowedDistance(wanted)) {
    return nearest.name;
  }
  return ranked.find(({ name }) => wanted.length > 3 && name.toLowerCase().includes(wanted))?.name;
}

/** The largest distance of a suggestion. Two letters in exchanged places count as two edits. */
function allowedDistance({ length }: string): number {
  return Math.max(length > 3 ? 2 : 1, Math.floor(length / 3));
}

/** Levenshtein distance, one row at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of from.split('').entries()) {
    const next = [index + 1];
    for (const [column, other] of to.split('').entries()) {
      next.push(
        Math.min((next[column] ?? 0) + 1, (row[column + 1] ?? 0) + 1, (row[column] ?? 0) + (letter === other ? 0 : 1)),
      );
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
