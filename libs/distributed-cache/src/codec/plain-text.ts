/**
 * Text for other programs: plain JSON, or Keyv's format. A value that JSON has no form for and would lose silently (a
 * Map, a RegExp and an Error become `{}`) is refused; a value that JSON has another form for (a date is a string, `NaN`
 * is null) is kept in that form.
 */
import { types } from 'node:util';
import { CorruptEntryError } from '../errors/index.js';
import { foreignTextOf, keyvStringsOf } from './foreign-text.js';
import {
  parseJsonText,
  Refusal,
  toRefusedError,
  inspectValue,
  describeType,
  isError,
  isRecord,
} from '../values/index.js';

/**
 * The formats of that text. `keyv`: as Keyv writes it. `cache-manager`: the same as a string in JSON, as cache-manager
 * writes it through cache-manager-ioredis-yet.
 */
export type PlainFormat = 'json' | 'keyv' | 'cache-manager';

export interface PlainText {
  readonly text: string;
  /** When false, the value that is read back differs from the given one. */
  readonly exact: boolean;
}

/**
 * Writes the text of a value; for Keyv's format without the surrounding object.
 * @throws ValueRefusedError, and nothing else
 */
export function writePlainText(value: unknown, format: PlainFormat): PlainText {
  const { isJson, isExact } = inspectValue(value);
  try {
    const exact = isJson && isExact;
    const isWritable = exact && format === 'json';
    const text = (isWritable ? JSON.stringify(value) : JSON.stringify(value, replacerFor(format))) ?? 'null';
    if (format === 'json' && foreignTextOf(text, format).kind !== 'plain') {
      throw new Refusal('unserializable', 'what every reader would take for an entry of Keyv');
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
  if (!isRecord(wrapped) || !('value' in wrapped)) {
    throw new CorruptEntryError('it is no entry of Keyv');
  }
  return keyvStringsOf(wrapped['value']);
}

type Replacer = (this: unknown, key: string, value: unknown) => unknown;

function replacerFor(format: PlainFormat): Replacer {
  return function (this: unknown, key, value) {
    // `JSON.stringify` has called `toJSON` before; the original is a property of the holder.
    const before: unknown = isRecord(this) ? this[key] : value;
    if (Buffer.isBuffer(before) && format !== 'json') {
      return `:base64:${before.toString('base64')}`;
    }
    if (isRecord(value) && isUnknownToJson(value)) {
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
