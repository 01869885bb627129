import { fieldText, type Fields } from './fields.js';

/*
 * Ranges of bytes (RFC 9110 section 14), cut from a complete stored body.
 */

/** A part of a body: the first byte, and the last one. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

const ONE_RANGE = /^bytes=\s*(?<first>\d*)\s*-\s*(?<last>\d*)\s*$/i;

/**
 * The part of a complete body that a request asks for (RFC 9110 section 14.2).
 * @returns `undefined` for the whole body: there is no `Range`, or it is malformed, of another unit, or asks for several
 * ranges, all of which a server may ignore. `'unsatisfiable'`: the answer is 416.
 */
export function requestedRange(requestFields: Fields, length: number): ByteRange | 'unsatisfiable' | undefined {
  const parts = ONE_RANGE.exec(fieldText(requestFields, 'range') ?? '')?.groups;
  const [from, to] = [parts?.['first'] ?? '', parts?.['last'] ?? ''];
  if (from === '' && to === '') {
    return undefined;
  }
  const range = from === '' ? lastBytes(Number(to), length) : bytesFrom(Number(from), to, length);
  return range === undefined || range.first <= range.last ? range : 'unsatisfiable';
}

function lastBytes(count: number, length: number): ByteRange {
  return { first: Math.max(0, length - count), last: length - 1 };
}

/** @returns `undefined` when the range ends before it begins, which makes it invalid (section 14.1.1) */
function bytesFrom(first: number, to: string, length: number): ByteRange | undefined {
  const last = to === '' ? length - 1 : Math.min(Number(to), length - 1);
  return to !== '' && Number(to) < first ? undefined : { first, last };
}

/** `Content-Range` of a 206, or of a 416 (RFC 9110 section 14.4). */
export function contentRange(range: ByteRange | 'unsatisfiable', length: number): string {
  return range === 'unsatisfiable' ? `bytes */${length}` : `bytes ${range.first}-${range.last}/${length}`;
}
