import { hash } from 'node:crypto';
import { fieldText, type Fields, listMembers } from './fields.js';
import { parseHttpDate } from './http-date.js';

/*
 * Validators (RFC 9110 section 8.8) and the conditions that name them (section 13).
 */

/** The length of a generated entity tag: 144 bits, so two bodies never share one. */
const TAG_LENGTH = 24;

/** A strong entity tag made from the bytes of a body (RFC 9110 section 8.8.3). */
export function entityTagOf(body: Uint8Array): string {
  return `"${hash('sha256', body, 'base64url').slice(0, TAG_LENGTH)}"`;
}

/**
 * The tag of the same response in another content coding: a strong tag names exact bytes, so each coding has its own
 * (section 8.8.3.3). A weak tag is the same for all.
 */
export function entityTagForCoding(tag: string, coding: string): string {
  return isWeak(tag) || !tag.endsWith('"') ? tag : `${tag.slice(0, -1)}-${coding}"`;
}

/**
 * Whether a framework made the tag from the bytes: Express sends the length and a digest of every body as a weak tag. A
 * strong tag says the same, and more.
 */
export function isLengthAndDigest(tag: string | undefined, body: Uint8Array | undefined): boolean {
  const length = /^W\/"(?<length>[\da-f]+)-[\w+/]{27}"$/.exec(tag ?? '')?.groups?.['length'];
  return length !== undefined && Number.parseInt(length, 16) === body?.length;
}

function isWeak(tag: string): boolean {
  return tag.startsWith('W/');
}

/** Weak comparison (section 8.8.3.2): equal but for weakness. */
function areWeaklyEqual(one: string, other: string): boolean {
  return one.replace(/^W\//, '') === other.replace(/^W\//, '');
}

/**
 * Whether the conditions of a GET or HEAD are met by the stored response, so that the answer is 304 (section 13.2.2).
 * `If-None-Match` decides alone when it is present (section 13.1.3).
 * @param stored the fields of the stored response
 * @param usesDate whether `Date` counts where there is no `Last-Modified` (RFC 9111 section 4.3.2). Two responses that
 *   were made in one second have the same.
 */
export function isNotModified(requestFields: Fields, stored: Fields, nowMs: number, usesDate = false): boolean {
  const noneMatch = fieldText(requestFields, 'if-none-match');
  if (noneMatch !== undefined) {
    return matchesAny(noneMatch, fieldText(stored, 'etag'));
  }
  const since = dateOf(requestFields, 'if-modified-since', nowMs);
  const changed = usesDate && stored['last-modified'] === undefined ? 'date' : 'last-modified';
  const lastModified = dateOf(stored, changed, nowMs);
  return since !== undefined && lastModified !== undefined && lastModified <= since;
}

function matchesAny(list: string, tag: string | undefined): boolean {
  return list.trim() === '*' || (tag !== undefined && listMembers(list).some((member) => areWeaklyEqual(member, tag)));
}

/**
 * Whether the condition of `If-Range` holds, so that the range may be sent (section 13.1.5). Only strong validators
 * count: an equal strong tag, or an equal `Last-Modified` that is at least a second older than `Date` (section 8.8.2.2).
 */
export function isRangeCurrent(requestFields: Fields, stored: Fields, nowMs: number): boolean {
  const condition = fieldText(requestFields, 'if-range')?.trim();
  if (condition === undefined) {
    return true;
  }
  if (/^(?:W\/)?"/.test(condition)) {
    return !isWeak(condition) && condition === fieldText(stored, 'etag');
  }
  const lastModified = dateOf(stored, 'last-modified', nowMs);
  const date = dateOf(stored, 'date', nowMs) ?? Number.NEGATIVE_INFINITY;
  return lastModified !== undefined && parseHttpDate(condition, nowMs) === lastModified && date - lastModified >= 1000;
}

function dateOf(fields: Fields, name: string, nowMs: number): number | undefined {
  const text = fieldText(fields, name);
  return text === undefined ? undefined : parseHttpDate(text, nowMs);
}

/** The fields that describe the body of a response: a 304 has none, so it does not have them (section 15.4.5). */
const BODY_FIELDS: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'content-language',
  'content-range',
]);

/** Whether a field describes the body, so that a 304 lacks it. */
export function isOfBody(name: string): boolean {
  return BODY_FIELDS.has(name);
}

/** The fields of a 304 for a stored response. */
export function notModifiedFields<Stored extends Fields>(stored: Stored): Stored {
  return Object.fromEntries(Object.entries(stored).filter(([name]) => !isOfBody(name))) as Stored;
}

/** The fields that make one client's request conditional, or ask for a part (RFC 9110 sections 13.1 and 14.2). */
export const CONDITION_FIELDS: readonly string[] = [
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'range',
];

/** The fields of a request that a stored response is validated with (RFC 9111 section 4.3.1). */
export function validationFields(stored: Fields): Record<string, string> {
  const tag = fieldText(stored, 'etag');
  const lastModified = fieldText(stored, 'last-modified');
  return {
    ...(tag !== undefined && { 'if-none-match': tag }),
    ...(lastModified !== undefined && { 'if-modified-since': lastModified }),
  };
}
