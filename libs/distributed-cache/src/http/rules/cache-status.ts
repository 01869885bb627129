import { serializeList, Token } from 'structured-headers';

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

/**
 * The member of `Cache-Status` (RFC 9211) for one request. It never has a key: a key may contain what belongs to a user.
 * @param cache the name of the cache
 */
export function cacheStatusMember(cache: string, status: CacheStatus): string {
  const parameters = new Map<string, boolean | number | Token>();
  if (status.forward === undefined) {
    parameters.set('hit', true);
  } else {
    parameters.set('fwd', new Token(status.forward));
  }
  if (status.forwardStatus !== undefined) {
    parameters.set('fwd-status', status.forwardStatus);
  }
  if (status.ttlSeconds !== undefined) {
    parameters.set('ttl', Math.floor(status.ttlSeconds));
  }
  for (const [name, isSet] of [
    ['stored', status.isStored],
    ['collapsed', status.isCollapsed],
  ] as const) {
    if (isSet) {
      parameters.set(name, true);
    }
  }
  if (status.detail !== undefined) {
    parameters.set('detail', new Token(status.detail));
  }
  return serializeList([[new Token(cache), parameters]]);
}
