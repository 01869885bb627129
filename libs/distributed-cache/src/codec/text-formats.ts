import { isUtf8 } from 'node:buffer';
import { types } from 'node:util';
import { CorruptEntryError } from '../errors/index.js';
import {
  describeType,
  inspectValue,
  isError,
  isObject,
  parseJsonText,
  Refusal,
  toRefusedError,
} from '../values/index.js';

/*
 * Text in place of envelopes: the formats that other programs read, and the values that other programs have written.
 *
 * Written text is plain JSON, or Keyv's format. A value that JSON has no form for and would lose silently (a Map, a
 * RegExp and an Error become `{}`) is refused. A value that JSON has another form for (a date is a string, `NaN` is
 * null) is kept in that form.
 *
 * No part of a value of another program is evaluated or given a type: what telejson (cache-manager-ioredis-yet) writes
 * as `_function_…`, `_date_…` or `_symbol_…` stays a string.
 */

/**
 * The formats of written text. `keyv`: as Keyv writes it. `cache-manager`: the same as a string in JSON, as
 * cache-manager writes it through cache-manager-ioredis-yet.
 */
export type PlainFormat = 'json' | 'keyv' | 'cache-manager';

interface PlainText {
  readonly text: string;
  /** When false, the value that is read back differs from the given one. */
  readonly exact: boolean;
}

/**
 * Writes the text of a value; for Keyv's format without the surrounding object.
 * @param flatten whether instances become plain objects, or the result of their `toJSON`; else they are refused
 * @throws ValueRefusedError, and nothing else
 */
export function writePlainText(value: unknown, format: PlainFormat, flatten = false): PlainText {
  const { isJson, isExact } = inspectValue(value, { flatten });
  try {
    const exact = isJson && isExact;
    const isWritable = exact && format === 'json';
    const text = (isWritable ? JSON.stringify(value) : JSON.stringify(value, replacerFor(format))) ?? 'null';
    if (format === 'json' && legacyValueOf(text, format).kind !== 'plain') {
      throw new Refusal('unserializable', 'an object that every reader would take for an entry of Keyv');
    }
    return { text, exact };
  } catch (error) {
    throw toRefusedError(error);
  }
}

/** Parses the text of a value, as {@link writePlainText} made it. @throws CorruptEntryError, and nothing else */
export function parsePlainText(text: string, format: PlainFormat): unknown {
  const value = parseJsonText(text);
  return format === 'json' ? value : keyvStringsOf(value);
}

/** Makes the text that is stored in Redis. @param expiresAtMs in epoch milliseconds */
export function wrapPlainText(text: string, format: PlainFormat, expiresAtMs: number): string {
  if (format === 'json') {
    return text;
  }
  const wrapped = `{"value":${text},"expires":${Math.ceil(expiresAtMs)}}`;
  return format === 'keyv' ? wrapped : JSON.stringify(wrapped);
}

/** The text of the value inside the stored text of {@link wrapPlainText}. @throws CorruptEntryError */
export function unwrapPlainText(text: string, format: PlainFormat): unknown {
  const parsed = parseJsonText(text);
  if (format === 'json') {
    return parsed;
  }
  const wrapped = format === 'keyv' || typeof parsed !== 'string' ? parsed : parseJsonText(parsed);
  if (!isObject(wrapped) || !('value' in wrapped)) {
    throw new CorruptEntryError('it is not an entry of Keyv');
  }
  return keyvStringsOf(wrapped['value']);
}

type Replacer = (this: unknown, key: string, value: unknown) => unknown;

function replacerFor(format: PlainFormat): Replacer {
  return function (this: unknown, key, value) {
    // `JSON.stringify` has called `toJSON` before; the original is a property of the holder.
    const before: unknown = isObject(this) ? this[key] : value;
    if (Buffer.isBuffer(before) && format !== 'json') {
      return `:base64:${before.toString('base64')}`;
    }
    if (isObject(value) && isUnknownToJson(value)) {
      throw new Refusal('unserializable', `${describeType(value)} in plain JSON (format)`);
    }
    if (typeof value === 'bigint') {
      throw new Refusal('unserializable', 'a bigint in plain JSON (format)');
    }
    return format !== 'json' && typeof value === 'string' && value.startsWith(':') ? `:${value}` : value;
  };
}

function isUnknownToJson(value: object): boolean {
  return (
    types.isMap(value) ||
    types.isSet(value) ||
    types.isRegExp(value) ||
    types.isAnyArrayBuffer(value) ||
    ArrayBuffer.isView(value) ||
    value instanceof URLSearchParams ||
    isError(value)
  );
}

/**
 * A value that another program has written. `plain`: JSON. `keyv`: `{"value":…,"expires":…}`, perhaps as a string in
 * JSON. `absent`: the text that Keyv writes for `undefined`.
 */
type LegacyValue =
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
export function readLegacyValue(bytes: Buffer, format: string): LegacyValue {
  if (!isUtf8(bytes)) {
    throw new CorruptEntryError('it has no envelope and is no text');
  }
  const text = bytes.toString();
  if (text.includes(TELEJSON_DUPLICATE)) {
    throw new CorruptEntryError('it refers to parts of itself in a way that only its writer reads');
  }
  return legacyValueOf(text, format);
}

/**
 * Reads the text of a value of another program.
 * @param format the format of the namespace: with `json`, `{"value":…}` without `expires` is data, because this library
 * writes such data itself
 * @throws CorruptEntryError, and nothing else
 */
function legacyValueOf(text: string, format: string): LegacyValue {
  const value = parseJsonText(text);
  const isDoublyEncoded = typeof value === 'string' && value.startsWith('{"') && value.endsWith('}');
  const wrapped = isDoublyEncoded ? parseOrUndefined(value) : value;
  if (!isObject(wrapped) || Array.isArray(wrapped) || Object.keys(wrapped).length > 2) {
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
function keyvStringsOf(value: unknown): unknown {
  if (typeof value === 'string' && value.startsWith(':')) {
    return value.startsWith(':base64:') ? Buffer.from(value.slice(8), 'base64') : value.slice(1);
  }
  if (isObject(value)) {
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
