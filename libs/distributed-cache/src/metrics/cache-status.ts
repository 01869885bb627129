import type { CacheEventMap } from '../events/index.js';

/** The `Cache-Status` of a request without any lookup. */
export const NO_LOOKUP = 'distributed-cache; fwd=bypass';

/** A structured field token begins with a letter (or `*`); any other name of a namespace is written as a string. */
const TOKEN = /^[A-Za-z][A-Za-z0-9_.-]*$/;

/** The member of a `Cache-Status` list (RFC 9211 section 2) for a hit; its TTL is in whole seconds. */
export function hitMember({
  namespace,
  tier,
  ttlMs,
}: Pick<CacheEventMap['hit'], 'namespace' | 'tier' | 'ttlMs'>): string {
  return `${nameOf(namespace)}; hit; ttl=${Math.floor(ttlMs / 1000)}; detail=${tier}`;
}

/**
 * The member of a `Cache-Status` list (RFC 9211 section 2) for a miss: why it was one, whether its result was stored,
 * and whether the call joined another's load.
 */
export function missMember({
  namespace,
  stale,
  stored,
  collapsed,
}: Pick<CacheEventMap['miss'], 'namespace' | 'stale' | 'stored' | 'collapsed'>): string {
  const reason = stale ? 'stale' : 'miss';
  return `${nameOf(namespace)}; fwd=${reason}${stored ? '; stored' : ''}${collapsed ? '; collapsed' : ''}`;
}

/**
 * The namespace as a member's name.
 * @param namespace letters, digits, `_`, `.`, `-`, so nothing in it needs an escape
 */
function nameOf(namespace: string): string {
  return TOKEN.test(namespace) ? namespace : `"${namespace}"`;
}
