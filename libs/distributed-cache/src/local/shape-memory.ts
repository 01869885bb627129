/** The size of the table of hashes. It is a power of two: indexes are found by masking. */
const PLACES = 4096;
const SHORT_TEXTS = 1024;
/** `JSON.parse` and the compiler keep one copy of equal texts up to this length. */
export const SHARED_TEXT_LENGTH = 10;

/**
 * Remembers which shapes of objects and which short texts were met recently. Objects with the same property names share
 * one hidden class and the names themselves. An object that is used as a dictionary, with names that no other object
 * has, needs both alone, several times the size of its slots. V8 does not reveal which is which: so the first object of
 * a shape counts as a dictionary, and later ones do not. The memory holds hashes and short texts, and has a constant
 * size.
 */
export class ShapeMemory {
  private readonly hashes = new Int32Array(PLACES);
  private readonly texts = Array.from({ length: SHORT_TEXTS }, () => '');
  private lastFirst = '';
  private lastLast = '';
  private lastCount = -1;

  /**
   * Whether an object with this many names, and these first and last ones, has been met. In a list of records the
   * previous one was the same.
   */
  isKnown(length: number, first: string, last: string): boolean {
    if (length === this.lastCount && first === this.lastFirst && last === this.lastLast) {
      return true;
    }
    this.lastCount = length;
    this.lastFirst = first;
    this.lastLast = last;
    const hash = (hashOf(last, hashOf(first, length)) | 1) >> 0;
    const place = (hash ^ (hash >>> 15)) & (PLACES - 1);
    if (this.hashes[place] === hash) {
      return true;
    }
    this.hashes[place] = hash;
    return false;
  }

  /** Whether a short text has been met. */
  isKnownText(text: string): boolean {
    const { length } = text;
    const mixed =
      text.charCodeAt(0) * 31 + text.charCodeAt(length - 1) * 7 + text.charCodeAt(length >> 1) * 17 + length;
    const place = mixed & (SHORT_TEXTS - 1);
    if (this.texts[place] === text) {
      return true;
    }
    this.texts[place] = text;
    return false;
  }
}

function hashOf(text: string, seed: number): number {
  let hash = seed;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash;
}
