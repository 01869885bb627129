/**
 * Text for programs beside this one: plain JSON, or Keyv's. What JSON has no form for and would lose without a word (a Map is `{}`
 * to it, a RegExp and an Error too) is refused; what it has a form for (a date is a string, `NaN` is null) is kept as that.
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

/** `keyv`: as Keyv writes it. `cache-manager`: the same as a string in JSON, as cache-manager has cache-manager-ioredis-yet write it. */
export type PlainFormat = 'json' | 'keyv' | 'cache-manager';

export interface PlainText {
  readonly text: string;
  /** false: what is read back differs from what was given. */
  readonly exact: boolean;
}

/**
 * Writes the text of a value; in Keyv's form without what surrounds it.
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

/** @throws CorruptEntryError, and nothing else */
export function parsePlainText(text: string, format: PlainFormat): unknown {
  const value = parseJsonText(text);
  return format === 'json' ? value : keyvStringsOf(value);
}

/** What lies in Redis. @param expiresAtMs in epoch milliseconds */
export function wrapPlainText(text: string, format: PlainFormat, expiresAtMs: number): string {
  if (format === 'json') {
    return text;
  }
  const wrapped = `{"value":${text},"expires":${Math.ceil(expiresAtMs)}}`;
  return format === 'keyv' ? wrapped : JSON.stringify(wrapped);
}

/** The value in what {@link wrapPlainText} has made. @throws CorruptEntryError */
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
    // `JSON.stringify` has called `toJSON` by now; what was there before it is in the holder.
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
