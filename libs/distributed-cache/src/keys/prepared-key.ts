/**
 * A key with its encoding: of a decorated method's call, or of an entry that varies by dimensions of the request. The
 * encoding holds what no key that is a plain string can hold, so the two never meet. Made by `AsyncCache.keyFor`.
 */
export class PreparedKey {
  /** @internal Where memory found its entry last, and which one that was: a hint, checked before it is used. */
  place = 0;
  /** @internal */
  stamp = -1;

  constructor(
    /** For events and messages. */
    readonly text: string,
    /** What every tier knows it by. */
    readonly encoded: string,
  ) {}

  toString(): string {
    return this.text;
  }
}

/** What names an entry: a string, or what `AsyncCache.keyFor` made of one. */
export type CacheKey = string | PreparedKey;
