import { parseList } from 'structured-headers';
import { fieldText, type Fields } from './fields.js';

/*
 * The stored responses that an answer makes outdated: those of URLs (RFC 9111 section 4.4) and those of groups
 * (RFC 9875).
 */

/** The methods that are safe by their registration (RFC 9110 section 9.2.1). Any other, known or not, may change. */
const SAFE_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'REPORT',
  'SEARCH',
  'QUERY',
]);

/** Whether the method may change what it names. Methods are compared as they are: `get` is not `GET`. */
export function isUnsafe(method: string): boolean {
  return !SAFE_METHODS.has(method);
}

/** An answer, and the absolute URL of its request. */
export interface Answer {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly fields: Fields;
}

/**
 * The URLs whose stored responses an answer makes outdated: that of a successful unsafe request, and those in its
 * `Location` and `Content-Location` that have the same host. Another host's entries are not its to remove. The scheme may
 * differ: a server behind a proxy does not know the one that its clients use.
 */
export function invalidatedUrls({ method, url, status, fields }: Answer): string[] {
  if (!isUnsafe(method) || status < 200 || status >= 400) {
    return [];
  }
  const { host } = new URL(url);
  const named = ['location', 'content-location']
    .map((name) => fieldText(fields, name))
    .filter((location) => location !== undefined && URL.canParse(location, url))
    .map((location) => new URL(location ?? '', url))
    .filter((location) => location.host === host)
    .map((location) => location.href.replace(/#.*$/, ''));
  return [...new Set([url, ...named])];
}

/** The groups that a response belongs to (RFC 9875 section 2): the members of `Cache-Groups`. */
export function cacheGroups(fields: Fields): string[] {
  return groupsIn(fieldText(fields, 'cache-groups'));
}

/** The groups that an answer invalidates (RFC 9875 section 3): `Cache-Group-Invalidation` of an unsafe request. */
export function invalidatedGroups({ method, fields }: Pick<Answer, 'method' | 'fields'>): string[] {
  return isUnsafe(method) ? groupsIn(fieldText(fields, 'cache-group-invalidation')) : [];
}

/** The strings of a structured list but for empty ones; a field that is no list of strings is ignored as a whole. */
function groupsIn(text: string | undefined): string[] {
  if (text === undefined) {
    return [];
  }
  try {
    const groups = parseList(text).map(([member]) => member);
    return groups.every((group) => typeof group === 'string') ? groups.filter((group) => group !== '') : [];
  } catch {
    return [];
  }
}

/** The field that carries the tags of a response: Fastly's, Cloudflare's, or that of RFC 9875. */
export type TagField = 'surrogate-key' | 'cache-tag' | 'cache-groups';

/**
 * The tags in the syntax of a field. Characters that the syntax does not allow in a tag are percent-encoded.
 * @returns `undefined` without tags
 */
export function tagFieldValue(field: TagField, tags: readonly string[]): string | undefined {
  const texts = [...new Set(tags)].map(encodeURI);
  if (texts.length === 0) {
    return undefined;
  }
  switch (field) {
    case 'surrogate-key':
      return texts.join(' ');
    case 'cache-tag':
      return texts.map((text) => text.replaceAll(',', '%2C')).join(',');
    case 'cache-groups':
      return texts.map((text) => `"${text}"`).join(', ');
  }
}
