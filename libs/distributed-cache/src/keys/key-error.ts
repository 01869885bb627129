/**
 * A key, or an argument that was to become part of one, can't be used. It is a mistake in the calling code, so it is a
 * `TypeError` and reaches the caller. The message says what is wrong and what to do; it never holds the key or an
 * argument's value.
 */
export class CacheKeyError extends TypeError {
  override readonly name = 'CacheKeyError';
  readonly code = 'CACHE_KEY_REFUSED';

  constructor(problem: string, remedy: string) {
    super(`${problem}. ${remedy}.`);
  }
}
