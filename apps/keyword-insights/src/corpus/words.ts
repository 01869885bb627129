/** Shorter ones say nothing, longer ones are addresses, boundaries and other debris of mail programs. */
const SHORTEST_WORD = 3;
const LONGEST_WORD = 28;

const WORD = /\p{L}[\p{L}\p{M}\p{N}]*(?:['-][\p{L}\p{N}]+)*/gu;

/** Words that go with any word, and the parts of web addresses. Association scores push most of them down; these few stay up. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  `about after all also and any are because been before being but can com could did does don't for from get had has have her here
  him his how htm html http https i'm into it's its just like mailto may more most much net not now off one only org other our out
  over own said same see she should since some such than that the their them then there these they this those through too under
  until use very was way well were what when where which while who why will with would www you your`.split(/\s+/),
);

/** All words of a text, stop words too. */
export function countWords(text: string): number {
  return text.match(WORD)?.length ?? 0;
}

/** The different words of a text in lower case, without stop words. */
export function distinctWords(text: string): Set<string> {
  const words = new Set<string>();
  for (const word of text.match(WORD) ?? []) {
    if (word.length >= SHORTEST_WORD && word.length <= LONGEST_WORD && !STOP_WORDS.has(word)) {
      words.add(word);
    }
  }
  return words;
}
