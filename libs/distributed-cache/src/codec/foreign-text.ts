/**
 * Reads values that another program has written under a key of the cache. No part of them is evaluated or given a type:
 * what telejson (cache-manager-ioredis-yet) writes as `_function_…`, `_date_…` or `_symbol_…` stays a string.
 */
import { isUtf8 } from 'node:buffer';
import { CorruptEntryError } from '../errors/index.js';
import { parseJsonText, isRecord } from '../values/index.js';

/**
 * The kinds of such a value. `plain`: JSON. `keyv`: `{"value":…,"expires":…}`, perhaps as a string in JSON. `absent`:
 * the text that Keyv writes for `undefined`.
 */
export type ForeignText =
  | { readonly kind: 'plain'; readonly value: unknown }
  | { readonly kind: 'keyv'; readonly value: unknown; readonly expiresAtMs: number | undefined }
  | { readonly kind: 'absent' };

/**
 * The smallest number that counts as Keyv's `expires`, which are epoch milliseconds. A smaller number is data that
 * happens to have this name.
 */
const EPOCH_FROM_MS = 1e12;
/**
 * The text that telejson writes for an object that it has written before; the object itself is elsewhere in the text.
 */
const TELEJSON_DUPLICATE = '"_duplicate_[';

/** Reads the bytes of a value of another program. @throws CorruptEntryError, and nothing else */
export function readForeign(bytes: Buffer, format: string): ForeignText {
  if (!isUtf8(bytes)) {
    throw new CorruptEntryError('it has no envelope and is no text');
  }
  const text = bytes.toString();
  if (text.includes(TELEJSON_DUPLICATE)) {
    throw new CorruptEntryError('it refers to parts of itself in a way that only its writer reads');
  }
  return foreignTextOf(text, format);
}

/**
 * Reads the text of a value of another program.
 * @param format the format of the namespace: with `json`, `{"value":…}` without `expires` is data, because this library
 * writes such data itself
 * @throws CorruptEntryError, and nothing else
 */
export function foreignTextOf(text: string, format: string): ForeignText {
  const value = parseJsonText(text);
  const isDoublyEncoded = typeof value === 'string' && value.startsWith('{"') && value.endsWith('}');
  const wrapped = isDoublyEncoded ? parseOrUndefined(value) : value;
  if (!isRecord(wrapped) || Array.isArray(wrapped) || Object.keys(wrapped).length > 2) {
    return { kind: 'plain', value };
  }
  const { expires, value: inner, ...others } = wrapped;
  const isTimed = typeof expires === 'number' && expires >= EPOCH_FROM_MS;
  const isUntimed = (expires === undefined || expires === null) && (isDoublyEncoded || format !== 'json');
  if (Object.keys(others).length > 0 || !(isTimed || isUntimed)) {
    return { kind: 'plain', value };
  }
  if (!('value' in wrapped)) {
    return isTimed && (isDoublyEncoded || format !== 'json') ? { kind: 'absent' } : { kind: 'plain', value };
  }
  return { kind: 'keyv', value: keyvStringsOf(inner), expiresAtMs: isTimed ? expires : undefined };
}

/**
 * Decodes the strings of Keyv's notation. Keyv writes a Buffer as `:base64:…`, and adds a colon before every string
 * that begins with one.
 */
export function keyvStringsOf(value: unknown): unknown {
  if (typeof value === 'string' && value.startsWith(':')) {
    return value.startsWith(':base64:') ? Buffer.from(value.slice(8), 'base64') : value.slice(1);
  }
  if (isRecord(value)) {
    // The object was just parsed and is not shared, so it is changed in place. The parser has limited its depth and
    // dropped `__proto__`.
    for (const key of Object.keys(value)) {
      value[key] = keyvStringsOf(value[key]);
    }
  }
  return value;
}

function parseOrUndefined(text: string): unknown {
  try {
    return parseJsonText(text);
  } catch {
    return undefined;
  }
}
