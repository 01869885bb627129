/**
 * A key together with its encoding: of a decorated method's call, or of an entry that varies by dimensions of the
 * request. The encoding contains characters that no plain string key can contain, so the two never collide. Made by
 * `AsyncCache.keyFor`.
 */
export class PreparedKey {
  /** @internal Where memory found its entry last, and which one that was: a hint, checked before it is used. */
  place = 0;
  /** @internal */
  stamp = -1;

  constructor(
    /** The key for events and messages. */
    readonly text: string,
    /** The key in the form that every tier uses. */
    readonly encoded: string,
  ) {}

  toString(): string {
    return this.text;
  }
}

/** The key of an entry: a string, or a result of `AsyncCache.keyFor`. */
export type CacheKey = string | PreparedKey;
