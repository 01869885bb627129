import { createHash } from 'node:crypto';

/*
 * How a user's key becomes the key that every tier uses, and why two keys never become one.
 *
 * 1. `%`, `{`, `}`, control characters and a leading `#` are percent-encoded. As `%` is among them, decoding always
 *    gives the key back, so no two keys share an encoding. Without braces a key can't choose its
 *    Cluster slot; without a leading `#` it can't be taken for the key of a stamp; without control characters it can be
 *    printed.
 * 2. An encoding over MAX_KEY_BYTES becomes `head~digest`, where the digest is the whole SHA-256 of the whole encoding.
 *    Two long keys meet only where SHA-256 does.
 * 3. Every key of rule 2 ends in `~` and 43 base64url characters. A key of rule 1 that happens to end like that has this
 *    very `~` percent-encoded too, so no short key ends like that, and none equals a hashed one.
 *
 * Ill-formed UTF-16 is refused: on the wire every lone surrogate turns into the same U+FFFD, so that two keys would
 * answer for each other.
 */

/** Maximum length of an encoded key in UTF-8 bytes; a longer one ends in a digest. */
export const MAX_KEY_BYTES = 512;

const DIGEST_LENGTH = 43;
const MAX_HEAD_BYTES = MAX_KEY_BYTES - DIGEST_LENGTH - 1;

/** Printable ASCII that no rule changes. `~` is left to the slow path, where rule 3 is checked. */
const UNTOUCHED = /^[ -"$&-z|][ -$&-z|]*$/;
const ESCAPED = /^#|[%{}\p{Cc}]/gu;
const LONE_SURROGATE = /\p{Cs}/u;
const ENDS_LIKE_HASHED = /~[\w-]{43}$/;
/** The rest of a percent-encoded character that was cut in two; `%C2` only ever begins a C1 control. */
const CUT_ESCAPE = /(?:%C2)?(?:%[0-9A-F]?)?$/;

/**
 * A key together with its encoding: of a decorated method's call, or of an entry that varies by dimensions of the
 * request. The encoding contains characters that no plain string key can contain, so the two never collide. Made by
 * `AsyncCache.keyFor`.
 */
export class PreparedKey {
  /**
   * @internal The slot in L1 where the entry was found last: a hint, which is checked by `sequence` before it is used.
   */
  slot = 0;
  /** @internal The sequence of the entry that was found there. */
  sequence = -1;

  constructor(
    /** The key for events and messages. */
    readonly text: string,
    /** The key in the form that every tier uses. */
    readonly encoded: string,
    /** The method whose `key` option has made the key, for logs: `Users.find`. */
    readonly caller?: string,
  ) {}

  /** The key for events and messages. */
  toString(): string {
    return this.text;
  }
}

/** The key of an entry: a string, or a result of `AsyncCache.keyFor`. */
export type CacheKey = string | PreparedKey;

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

/**
 * The key in the form that L1 and Redis use. Distinct keys stay distinct; a short key of plain ASCII is returned as it
 * is; none is longer than 512 bytes of UTF-8. Encode a key only once: the encoding of an encoding is another key.
 * @throws CacheKeyError for a value that is not a string, is empty, or is ill-formed UTF-16
 */
export function encodeKey(key: CacheKey): string {
  if (typeof key === 'string') {
    return isPlainKey(key) ? key : encodeSlowly(key);
  }
  return key instanceof PreparedKey ? key.encoded : encodeSlowly(key);
}

/** Whether a text is its own encoding, and the encoding of no other text. */
export function isPlainKey(text: string): boolean {
  return text.length <= MAX_KEY_BYTES && UNTOUCHED.test(text);
}

/**
 * Encodes a key as {@link encodeKey} does, with a suffix that no key can contain.
 * @param suffix a result of `versionSuffix` and `dimensionsSuffix`
 */
export function encodeKeyWith(key: string, suffix: string): string {
  if (suffix === '') {
    return encodeKey(key);
  }
  refuseUnusable(key);
  return bounded(escapeKeyText(key) + suffix);
}

/**
 * A key and its encoding, with a suffix that no key can contain.
 * @param suffix a result of `versionSuffix`, or empty
 * @param caller the method whose `key` option has made the key, for logs
 * @throws CacheKeyError as {@link encodeKey}
 */
export function prepareKey(key: string, suffix: string, caller?: string): PreparedKey {
  const encoded = encodeKeyWith(key, suffix);
  return new PreparedKey(key + suffix, encoded, caller);
}

/** Percent-encodes every character that a key may not contain. */
export function escapeKeyText(text: string): string {
  return text.replace(ESCAPED, encodeURIComponent);
}

/** The text whose encoding this is, apart from a digest; `undefined` for what is no encoding. */
export function decodeKeyText(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

function encodeSlowly(key: string): string {
  refuseUnusable(key);
  const escaped = escapeKeyText(key);
  return bounded(
    ENDS_LIKE_HASHED.test(escaped)
      ? `${escaped.slice(0, -DIGEST_LENGTH - 1)}%7E${escaped.slice(-DIGEST_LENGTH)}`
      : escaped,
  );
}

function bounded(encoded: string): string {
  return Buffer.byteLength(encoded) <= MAX_KEY_BYTES ? encoded : withHashedTail(encoded);
}

/**
 * Refuses a key that can't be encoded. The signature requires a string; calls from plain JavaScript may pass another
 * value.
 */
function refuseUnusable(key: unknown): void {
  if (typeof key !== 'string') {
    const kind = key === null ? 'null' : typeof key;
    throw new CacheKeyError(`A cache key must be a string, got ${kind}`, 'Convert it where its meaning is known');
  }
  if (key === '') {
    throw new CacheKeyError('A cache key must not be empty', 'Give every entry a name, also the only one');
  }
  if (LONE_SURROGATE.test(key)) {
    throw new CacheKeyError(
      'A cache key must be well-formed UTF-16, got a lone surrogate',
      'Reject such text where it comes in, or repair it with `toWellFormed()`',
    );
  }
}

function withHashedTail(encoded: string): string {
  const bytes = Buffer.from(encoded);
  let end = MAX_HEAD_BYTES;
  while (isContinuationByte(bytes[end])) {
    end -= 1;
  }
  const head = bytes.toString('utf8', 0, end).replace(CUT_ESCAPE, '');
  return `${head}~${createHash('sha256').update(bytes).digest('base64url')}`;
}

function isContinuationByte(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0b1100_0000) === 0b1000_0000;
}
