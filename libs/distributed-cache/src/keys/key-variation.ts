import { encodeArguments } from './argument-encoding.js';
import { escapeKeyText } from './key-encoding.js';

/** What a request may give a dimension. An empty text, `null`, `undefined` and `NaN` count as missing. */
export type DimensionValue = string | number | boolean | bigint | null | undefined;

/** Dimensions of a request by name: `{ tenant: 'acme', locale: 'de' }`. */
export type CacheDimensions = Readonly<Record<string, DimensionValue>>;

/*
 * What follows the key proper: `%v2` for a version, `%(locale:'de',tenant:'acme')` for dimensions, in this order. In a key
 * that a user gave, `%` is always followed by two hex digits, so none holds `%v` or `%(`: the first of them ends the key
 * proper, and what stands behind it can be read back. Neither ends as a hashed key does.
 */

/** The part of a key that says of which version of the code its value is. */
export function versionSuffix(version: string | number): string {
  return `%v${escapeKeyText(encodeArguments([version]))}`;
}

/** @param values name and value of each dimension, sorted by name, none missing */
export function dimensionsSuffix(values: readonly (readonly [name: string, value: DimensionValue])[]): string {
  const parts = values.map(([name, value]) => `${name}:${encodeArguments([value])}`);
  return `%(${escapeKeyText(parts.join(','))})`;
}

/** Whether entries may differ by it: anything else would make one entry of what should be many. */
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

/** Whether a dimension may be called so: it stands in keys as it is. */
export function isDimensionName(name: unknown): name is string {
  return typeof name === 'string' && DIMENSION_NAME.test(name);
}
