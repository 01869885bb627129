import { encodeArguments } from './arguments.js';
import { escapeKeyText } from './key-encoding.js';

/** A value that a request may give a dimension. An empty text, `null`, `undefined` and `NaN` count as missing. */
export type DimensionValue = string | number | boolean | bigint | null | undefined;

/** Dimensions of a request by name: `{ tenant: 'acme', locale: 'de' }`. */
export type CacheDimensions = Readonly<Record<string, DimensionValue>>;

/*
 * The suffixes of a key: `%v2` for a version, `%i'cats'` for an instance, `%(locale:'de',tenant:'acme')` for dimensions,
 * in this order. In an encoded key of the application, `%` is always followed by two hex digits, so none contains `%v`,
 * `%i` or `%(`: the first of them ends the key itself, and the text after it can be parsed back. No suffix ends as a
 * hashed key does.
 */

/** The suffix of a key for the version of the code that makes its value. */
export function versionSuffix(version: string | number): string {
  return `%v${escapeKeyText(encodeArguments([version]))}`;
}

/** The suffix of a key for the instance on which a method is called. */
export function instanceSuffix(key: string): string {
  return `%i${escapeKeyText(encodeArguments([key]))}`;
}

/** The suffix of a key for dimensions. @param values name and value of each dimension, sorted by name, none missing */
export function dimensionsSuffix(values: readonly (readonly [name: string, value: DimensionValue])[]): string {
  const parts = values.map(([name, value]) => `${name}:${encodeArguments([value])}`);
  return `%(${escapeKeyText(parts.join(','))})`;
}

/** Whether a value may be part of a key: with any other value, different entries would become one. */
export function isDimensionValue(value: unknown): value is string | number | boolean | bigint {
  switch (typeof value) {
    case 'string':
      return value !== '';
    case 'number':
      return !Number.isNaN(value);
    default:
      return typeof value === 'boolean' || typeof value === 'bigint';
  }
}

const DIMENSION_NAME = /^[A-Za-z_$][\w$-]*$/;

/** Whether this may be the name of a dimension: it is written into keys as it is. */
export function isDimensionName(name: unknown): name is string {
  return typeof name === 'string' && DIMENSION_NAME.test(name);
}
