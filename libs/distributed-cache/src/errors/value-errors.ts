import { CacheError } from './cache-error.js';

export type RefusalReason = 'unserializable' | 'too-large' | 'too-deep';

/** The value can't be kept by any tier: it is returned to its caller and not cached. */
export class ValueRefusedError extends CacheError {
  override readonly name = 'ValueRefusedError';
  readonly code = 'CACHE_VALUE_REFUSED';

  constructor(
    readonly reason: RefusalReason,
    detail: string,
  ) {
    super(`The value is not cached (${reason}): ${detail}`);
  }
}

/** Stored bytes are not an entry that this version can read. The read counts as a miss. */
export class CorruptEntryError extends CacheError {
  override readonly name = 'CorruptEntryError';
  readonly code = 'CACHE_ENTRY_CORRUPT';

  constructor(detail: string) {
    super(`The stored entry can't be read: ${detail}`);
  }
}
