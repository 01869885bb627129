const WORD_CHARACTER = /[\p{L}\p{M}\p{N}]/u;

/**
 * How often a text (folded by `foldText`) contains a term as whole words: `art` is not in `start`, but in `state of the art`.
 * @param term folded in the same way; an empty one is in no text
 */
export function countTerm(text: string, term: string): number {
  let count = 0;
  for (let at = nextTerm(text, term, 0); at !== -1; at = nextTerm(text, term, at + term.length)) {
    count += 1;
  }
  return count;
}

/** Whether {@link countTerm} would count at least one. */
export function containsTerm(text: string, term: string): boolean {
  return nextTerm(text, term, 0) !== -1;
}

function nextTerm(text: string, term: string, from: number): number {
  if (term === '') {
    return -1;
  }
  let at = text.indexOf(term, from);
  while (at !== -1 && (joins(text[at - 1], term[0]) || joins(term.at(-1), text[at + term.length]))) {
    at = text.indexOf(term, at + 1);
  }
  return at;
}

/** Two neighbours that are both part of a word make one word of it. */
function joins(left: string | undefined, right: string | undefined): boolean {
  return left !== undefined && right !== undefined && WORD_CHARACTER.test(left) && WORD_CHARACTER.test(right);
}
