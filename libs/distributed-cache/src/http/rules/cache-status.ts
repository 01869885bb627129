import { type Fields, membersOf } from './fields.js';

/** Why a request went to the handler (RFC 9211 section 2.2). */
export type ForwardReason = 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale' | 'partial';

/** What the response cache did with one request. */
export interface CacheStatus {
  /** Present: the handler ran, and why. Absent: the stored response is the answer. */
  readonly forward?: ForwardReason;
  /** The status of the handler's response, where it is not that of the answer. */
  readonly forwardStatus?: number;
  /** The rest of the lifetime in seconds; negative past it. */
  readonly ttlSeconds?: number;
  readonly isStored?: boolean;
  /** The request waited for the handler run of another one. */
  readonly isCollapsed?: boolean;
  /** One word that says more. */
  readonly detail?: string;
}

/** A token (RFC 9651 section 3.3.4); any other name is sent as a string. */
const TOKEN = /^[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*$/;

/**
 * The member of `Cache-Status` (RFC 9211) for one request. It never has a key: a key may contain what belongs to a user.
 * The values are tokens and integers, which are written as they are (RFC 9651 section 4.1).
 * @param cache the name of the cache
 */
export function cacheStatusMember(cache: string, status: CacheStatus): string {
  const { forward, forwardStatus, ttlSeconds, isStored, isCollapsed, detail } = status;
  return [
    TOKEN.test(cache) ? cache : `"${encodeURI(cache)}"`,
    forward === undefined ? 'hit' : `fwd=${forward}`,
    ...(forwardStatus === undefined ? [] : [`fwd-status=${forwardStatus}`]),
    ...(ttlSeconds === undefined ? [] : [`ttl=${Math.floor(ttlSeconds)}`]),
    ...(isStored === true ? ['stored'] : []),
    ...(isCollapsed === true ? ['collapsed'] : []),
    ...(detail === undefined ? [] : [`detail=${detail}`]),
  ].join(';');
}

/** A field of members such as `Cache-Status`, with one more at its end. */
export function appended(before: Fields[string], member: string): string {
  return [...membersOf(before), member].join(', ');
}
