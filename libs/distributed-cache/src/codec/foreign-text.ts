/**
 * Values that another program has written under a key of ours. None of it is ever evaluated or given a type: what telejson
 * (cache-manager-ioredis-yet) writes as `_function_…`, `_date_…` or `_symbol_…` stays the string that it is.
 */
import { isUtf8 } from 'node:buffer';
import { CorruptEntryError } from '../errors/index.js';
import { parseJsonText, isRecord } from '../values/index.js';

/** `plain`: JSON. `keyv`: `{"value":…,"expires":…}`, perhaps as a string in JSON. `absent`: what Keyv writes for `undefined`. */
export type ForeignText =
  | { readonly kind: 'plain'; readonly value: unknown }
  | { readonly kind: 'keyv'; readonly value: unknown; readonly expiresAtMs: number | undefined }
  | { readonly kind: 'absent' };

/** Keyv's `expires` are epoch milliseconds. A smaller number is data that happens to have this name. */
const EPOCH_FROM_MS = 1e12;
/** How telejson writes an object that it has written before; what it stands for is somewhere else in the text. */
const TELEJSON_DUPLICATE = '"_duplicate_[';

/** @throws CorruptEntryError, and nothing else */
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
 * @param format of the namespace: where it is `json`, `{"value":…}` without `expires` is data, for we write such data ourselves
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

/** Keyv writes a Buffer as `:base64:…`, and a colon before every string that begins with one. */
export function keyvStringsOf(value: unknown): unknown {
  if (typeof value === 'string' && value.startsWith(':')) {
    return value.startsWith(':base64:') ? Buffer.from(value.slice(8), 'base64') : value.slice(1);
  }
  if (isRecord(value)) {
    // Just parsed, and nobody else's: changed in place. The parser has bounded its depth and dropped `__proto__`.
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
