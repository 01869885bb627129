import { types } from 'node:util';
import { countPrototypes } from './object-kind.js';
import { quoteText } from './quoted-text.js';

/**
 * Encodes a built-in object that holds no other values: `Date`, `RegExp`, `URL`, `URLSearchParams`, buffers and views.
 * It returns `undefined` for any other object, including instances of their subclasses: those may carry state that
 * can't be seen. `node:util` checks what an object is, not what it claims to be, and does so across realms.
 */
export function encodeBuiltIn(value: object): string | undefined {
  if (ArrayBuffer.isView(value)) {
    return encodeView(value);
  }
  if (countPrototypes(value) !== 2) {
    return undefined;
  }
  if (types.isDate(value)) {
    return `Date(${Number.isNaN(value.getTime()) ? 'NaN' : value.toISOString()})`;
  }
  if (types.isRegExp(value)) {
    return encodeRegExp(value);
  }
  if (value instanceof URL) {
    return `URL(${quoteText(value.href)})`;
  }
  if (value instanceof URLSearchParams) {
    return `URLSearchParams(${quoteText(value.toString())})`;
  }
  if (types.isAnyArrayBuffer(value)) {
    const name = types.isSharedArrayBuffer(value) ? 'SharedArrayBuffer' : 'ArrayBuffer';
    return `${name}(${Buffer.from(value).toString('base64url')})`;
  }
  return undefined;
}

/** Encodes the bytes of a view; its offset and the rest of its buffer do not matter. */
function encodeView(view: ArrayBufferView): string | undefined {
  const name = viewName(view);
  return name && `${name}(${Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64url')})`;
}

function viewName(view: ArrayBufferView): string | undefined {
  const prototypes = countPrototypes(view);
  if (Buffer.isBuffer(view)) {
    return prototypes === 4 ? 'Buffer' : undefined;
  }
  if (types.isTypedArray(view)) {
    return prototypes === 3 ? view[Symbol.toStringTag] : undefined;
  }
  return prototypes === 2 ? 'DataView' : undefined;
}

/**
 * Encodes a regular expression. One with `g` or `y` matches from where it stopped, so its position is part of its
 * value.
 */
function encodeRegExp(expression: RegExp): string {
  const { source, flags, lastIndex } = expression;
  return `RegExp(${quoteText(source)},${quoteText(flags)}${lastIndex === 0 ? '' : `,${lastIndex}`})`;
}
