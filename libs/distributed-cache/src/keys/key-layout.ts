import { CacheKeyError } from './key-error.js';

const VALID_NAME = /^[A-Za-z0-9_.-]+$/;
const OPENING_BRACE = '{'.charCodeAt(0);

/**
 * Whether `name` may be a key prefix or a namespace. Neither holds a `:`, so in `prefix:namespace:key` the first two
 * colons are ours and `a` + `b:c` is never `a:b` + `c`.
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
 * | value on its way in | `prefix:{prefix:namespace:key}:fill` |
 * | what plain text can't say of itself | `prefix:{prefix:namespace:key}:about` |
 * | stamp of a tag | `prefix:namespace:#tag:name` |
 * | stamp of the namespace | `prefix:namespace:#clear` |
 *
 * Every name begins with `prefix:`, so the ACL pattern `~prefix:*` covers all of them.
 *
 * A value, its lease and a fill of it are touched together, so in Cluster they must live in one slot. Redis hashes what stands
 * between the first `{` and the next `}`, or the whole key if there is none. Neither names nor encoded keys hold a
 * brace: the value is hashed as a whole, and the others by the same text.
 *
 * Invalidation messages are asked for by prefix (`prefix:`), so the names of leases and fills arrive as well. A namespace never begins
 * with `{`: {@link isBesideValue} tells these names by one character, and the listener drops them. A stamp can't be a value: an
 * encoded key never begins with `#`.
 */
export interface KeyLayout {
  /** What the key of every value and stamp of this namespace begins with, and no key of another. */
  readonly valuePrefix: string;
  /** The stamp that `clear()` replaces. */
  readonly clearStampKey: string;
  /** @param encodedKey what `encodeKey` made; a raw key would break the layout */
  valueKey(encodedKey: string): string;
  /** @param encodedKey what `encodeKey` made; a raw key would break the layout */
  leaseKey(encodedKey: string): string;
  /** @param encodedKey what `encodeKey` made; a raw key would break the layout */
  fillKey(encodedKey: string): string;
  /** The names of a value, its lease and a fill of it. @param encodedKey what `encodeKey` made */
  entryKeys(encodedKey: string): { readonly valueKey: string; readonly leaseKey: string; readonly fillKey: string };
  /** @param encodedKey what `encodeKey` made; a raw key would break the layout */
  companionKey(encodedKey: string): string;
  /** @param encodedTag what `encodeKey` made of a tag: tags are encoded by the rules for keys */
  tagStampKey(encodedTag: string): string;
}

/** @throws CacheKeyError if a name holds anything but `A-Z a-z 0-9 _ . -` */
export function keyLayout(prefix: string, namespace: string): KeyLayout {
  requireValidName('key prefix', prefix);
  requireValidName('namespace', namespace);
  const valuePrefix = `${prefix}:${namespace}:`;
  const beside = `${prefix}:{`;
  return {
    valuePrefix,
    clearStampKey: `${valuePrefix}#clear`,
    valueKey: (encodedKey) => valuePrefix + encodedKey,
    leaseKey: (encodedKey) => `${beside}${valuePrefix}${encodedKey}}:lease`,
    fillKey: (encodedKey) => `${beside}${valuePrefix}${encodedKey}}:fill`,
    entryKeys: (encodedKey) => {
      const valueKey = valuePrefix + encodedKey;
      return { valueKey, leaseKey: `${beside}${valueKey}}:lease`, fillKey: `${beside}${valueKey}}:fill` };
    },
    companionKey: (encodedKey) => companionKeyOf(valuePrefix + encodedKey),
    tagStampKey: (encodedTag) => `${valuePrefix}#tag:${encodedTag}`,
  };
}

/** @param valueKey as {@link KeyLayout.valueKey} makes it */
export function companionKeyOf(valueKey: string): string {
  return `${valueKey.slice(0, valueKey.indexOf(':') + 1)}{${valueKey}}:about`;
}

/**
 * Whether a key is a lease, a fill or a companion: their changes concern no other process.
 * @param prefixLength of `prefix:`
 */
export function isBesideValue(key: string, prefixLength: number): boolean {
  return key.charCodeAt(prefixLength) === OPENING_BRACE;
}

function requireValidName(what: string, name: string): void {
  if (!isValidName(name)) {
    throw new CacheKeyError(
      `The ${what} ${JSON.stringify(name)} can't be part of a key`,
      'Use letters and digits of ASCII, `_`, `.` and `-`',
    );
  }
}
