import { CacheKeyError } from './key-encoding.js';

const VALID_NAME = /^[A-Za-z0-9_.-]+$/;
const OPENING_BRACE = '{'.charCodeAt(0);
/** The name of the stamp of a namespace: the end of its key, and its name in the entries that carry it. */
export const CLEAR = '#clear';
/** What the key of a tag's stamp has between the namespace and the tag. */
export const TAG_STAMP = '#tag:';

/**
 * Whether `name` may be a key prefix or a namespace. Neither contains a `:`, so in `prefix:namespace:key` the first two
 * colons are the separators, and `a` + `b:c` is never `a:b` + `c`.
 */
export function isValidName(name: string): boolean {
  return typeof name === 'string' && VALID_NAME.test(name);
}

/**
 * The names of everything that one namespace keeps in Redis.
 *
 * | what | key |
 * | --- | --- |
 * | value | `prefix:namespace:key` |
 * | lease | `prefix:{prefix:namespace:key}:lease` |
 * | staged value | `prefix:{prefix:namespace:key}:fill` |
 * | mark of a load that ended without a value to store | `prefix:{prefix:namespace:key}:lease:ended` |
 * | metadata that plain text can't contain | `prefix:{prefix:namespace:key}:about` |
 * | dictionaries | `prefix:{prefix:namespace:#dict}:id`, `:current`, `:training` |
 * | stamp of a tag | `prefix:namespace:#tag:name` |
 * | stamp of the namespace | `prefix:namespace:#clear` |
 *
 * Every name begins with `prefix:`, so the ACL pattern `~prefix:*` covers all of them.
 *
 * A value, its lease and its staged value are changed together, so in a cluster they must be in one slot. Redis hashes
 * the text between the first `{` and the next `}`, or the whole key if there is none. Neither names nor encoded keys
 * contain a brace: the value is hashed as a whole, and the others by the same text.
 *
 * Invalidation messages are requested by prefix (`prefix:`), so messages about leases and staged values arrive as well.
 * A namespace never begins with `{`: {@link keyChangeOf} recognizes these names by one character. A stamp can't be a
 * value: an encoded key never begins with `#`.
 */
export interface KeyLayout {
  /** The prefix of the key of every value and stamp of this namespace, and of no key of another. */
  readonly valuePrefix: string;
  readonly clearStampKey: string;
  /** The key of a value. @param encodedKey a result of `encodeKey`; a raw key would break the layout */
  valueKey(encodedKey: string): string;
  /** The keys of a value, its lease and its staged value. @param encodedKey a result of `encodeKey` */
  entryKeys(encodedKey: string): EntryKeys;
  /**
   * The key of a tag's stamp.
   * @param encodedTag a result of `encodeKey` for a tag: tags are encoded by the rules for keys
   */
  tagStampKey(encodedTag: string): string;
  /** The key of a dictionary, by its id, or of what concerns all of them: all are in one slot. */
  dictionaryKey(id: string): string;
}

/**
 * The keys of one entry: its value, the lease to load it, and the key under which a loaded value is staged before it is
 * moved to its place.
 */
export interface EntryKeys {
  readonly valueKey: string;
  readonly leaseKey: string;
  readonly fillKey: string;
}

/** Makes the layout of one namespace. @throws CacheKeyError if a name contains anything but `A-Z a-z 0-9 _ . -` */
export function keyLayout(prefix: string, namespace: string): KeyLayout {
  requireValidName('key prefix', prefix);
  requireValidName('namespace', namespace);
  const valuePrefix = `${prefix}:${namespace}:`;
  return {
    valuePrefix,
    clearStampKey: valuePrefix + CLEAR,
    valueKey: (encodedKey) => valuePrefix + encodedKey,
    entryKeys: (encodedKey) => entryKeysOf(valuePrefix + encodedKey),
    tagStampKey: (encodedTag) => valuePrefix + TAG_STAMP + encodedTag,
    dictionaryKey: (id) => `${auxiliaryOf(`${valuePrefix}#dict`)}:${id}`,
  };
}

/** The keys of an entry. @param valueKey here and below a result of {@link KeyLayout.valueKey} */
export function entryKeysOf(valueKey: string): EntryKeys {
  const inSlot = auxiliaryOf(valueKey);
  return { valueKey, leaseKey: `${inSlot}:lease`, fillKey: `${inSlot}:fill` };
}

/** The key of a value's metadata, for a value that is plain text. */
export function sidecarKeyOf(valueKey: string): string {
  return `${auxiliaryOf(valueKey)}:about`;
}

/** The beginning of the other keys of an entry, which puts them in the slot of its value. */
function auxiliaryOf(valueKey: string): string {
  return `${valueKey.slice(0, valueKey.indexOf(':') + 1)}{${valueKey}}`;
}

const ENDED = ':ended';
const ENDED_LEASE = `}:lease${ENDED}`;

/** The key of the mark that a load leaves when it has ended without a value to store. */
export function endedKeyOf({ leaseKey }: Pick<EntryKeys, 'leaseKey'>): string {
  return leaseKey + ENDED;
}

/** What the change of a key in Redis is about. */
export interface KeyChange {
  readonly namespace: string;
  /** The part of the key after the namespace: an encoded key, or the name of a stamp, which begins with `#`. */
  readonly encodedKey: string;
  /** Whether a load of the key has ended without a value to store. Otherwise the value or the stamp has changed. */
  readonly isEndOfLoad: boolean;
}

/**
 * What the change of this key is about; `undefined` for a lease, a staged value or metadata, which concern no other
 * process.
 * @param key any key that begins with the prefix
 * @param prefixLength the length of `prefix:`
 */
export function keyChangeOf(key: string, prefixLength: number): KeyChange | undefined {
  const isAuxiliary = key.charCodeAt(prefixLength) === OPENING_BRACE;
  if (isAuxiliary && !key.endsWith(ENDED_LEASE)) {
    return undefined;
  }
  const valueKey = isAuxiliary ? key.slice(prefixLength + 1, -ENDED_LEASE.length) : key;
  const colonAt = valueKey.indexOf(':', prefixLength);
  return {
    namespace: valueKey.slice(prefixLength, colonAt),
    encodedKey: valueKey.slice(colonAt + 1),
    isEndOfLoad: isAuxiliary,
  };
}

function requireValidName(what: string, name: string): void {
  if (!isValidName(name)) {
    throw new CacheKeyError(
      `The ${what} ${JSON.stringify(name)} can't be part of a key`,
      'Use letters and digits of ASCII, `_`, `.` and `-`',
    );
  }
}

/** The number of slots of a Redis Cluster. */
export const SLOT_COUNT = 16_384;

/** CRC-16/XMODEM (polynomial 0x1021) of one byte at the top, as in the Redis Cluster specification. */
const CRC_OF_BYTE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) {
    crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  }
  return crc;
});

/**
 * The slot in which Redis Cluster keeps this key: the CRC-16 of its UTF-8 bytes, or of the text between the first `{`
 * and the next `}` if that is not empty (Redis Cluster specification, "Hash tags"). The package `cluster-key-slot`
 * differs from Redis for a key with an empty tag before another one, such as `{}{a}`.
 */
export function keySlot(key: string): number {
  const hashed = taggedPart(key);
  let crc = 0;
  for (let at = 0; at < hashed.length; at++) {
    const unit = hashed.charCodeAt(at);
    if (unit > 0x7f) {
      return slotOfBytes(Buffer.from(hashed));
    }
    crc = next(crc, unit);
  }
  return crc % SLOT_COUNT;
}

function slotOfBytes(bytes: Uint8Array): number {
  return bytes.reduce(next, 0) % SLOT_COUNT;
}

function next(crc: number, byte: number): number {
  return ((crc << 8) & 0xffff) ^ (CRC_OF_BYTE[(crc >> 8) ^ byte] ?? 0);
}

function taggedPart(key: string): string {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}
