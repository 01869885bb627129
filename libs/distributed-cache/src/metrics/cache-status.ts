/** Parameters of RFC 9211 section 2, in the order in which they are written; `false` is left out. */
export interface CacheStatusParameters {
  readonly hit?: boolean;
  readonly fwd?: 'miss' | 'stale';
  readonly stored?: boolean;
  readonly collapsed?: boolean;
  /** Whole seconds. */
  readonly ttl?: number;
  readonly detail?: 'local' | 'redis';
}

/** What a request without any lookup answers. */
export const NO_LOOKUP = 'distributed-cache; fwd=bypass';

/** A structured field token begins with a letter (or `*`); any other name of a namespace is written as a string. */
const TOKEN = /^[A-Za-z][A-Za-z0-9_.-]*$/;

/**
 * One member of a `Cache-Status` list.
 * @param name of a cache: letters, digits, `_`, `.`, `-`, so nothing in it needs an escape
 */
export function cacheStatusMember(name: string, parameters: CacheStatusParameters): string {
  const { hit, fwd, stored, collapsed, ttl, detail } = parameters;
  const parts = [TOKEN.test(name) ? name : `"${name}"`];
  if (hit === true) {
    parts.push('hit');
  }
  if (fwd !== undefined) {
    parts.push(`fwd=${fwd}`);
  }
  if (stored === true) {
    parts.push('stored');
  }
  if (collapsed === true) {
    parts.push('collapsed');
  }
  if (ttl !== undefined) {
    parts.push(`ttl=${ttl}`);
  }
  if (detail !== undefined) {
    parts.push(`detail=${detail}`);
  }
  return parts.join('; ');
}
