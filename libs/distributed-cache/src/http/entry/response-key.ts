import { createHash } from 'node:crypto';
import { chooseLanguage } from '../rules/content-coding.js';
import { fieldText, type Fields, listMembers } from '../rules/fields.js';

/** How one request header takes part in the key. */
export type VaryValue = readonly string[] | ((value: string | undefined) => string);

/** Which parameters of the query take part in the key: all, sorted by name; those of a list; none. */
export type QueryRule = 'all' | 'none' | readonly string[];

/** The order of more parameters counts. */
const MAX_SORTED = 100;

/** A longer part of a key is replaced by its digest. */
const MAX_PART_LENGTH = 512;

/** What an entry is found by. Two requests share it only when every part is equal. */
export interface KeyParts {
  readonly route: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  /** Absent for entries that everybody shares. */
  readonly audience?: string | undefined;
  /** The values of the declared request headers. */
  readonly selection?: string | undefined;
}

/** The key of an entry. `|` separates its parts, and is written as `||` inside of them, so no two lists are one key. */
export function responseKey({ route, host, path, query, audience, selection }: KeyParts): string {
  const key = `${written(route)} | ${written(host)} | ${written(path)} | ${written(query)}`;
  return key + optional('u', audience) + optional('v', selection);
}

function optional(mark: string, part: string | undefined): string {
  return part === undefined ? '' : ` | ${written(`${mark}=${part}`)}`;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** What hardly any part has: {@link written} changes it then. */
const UNUSUAL = /^#|[|\ud800-\udfff]/;

function written(part: string): string {
  return part.length <= MAX_PART_LENGTH && !UNUSUAL.test(part) ? part : shortened(part).replaceAll('|', '||');
}

/**
 * A digest stands for a long part, and for one that is ill-formed, as the result of an audience function may be. It is
 * made of the UTF-16 code units: UTF-8 has one form for all lone surrogates. No other part begins with a single `#`.
 */
function shortened(part: string): string {
  if (part.length > MAX_PART_LENGTH || LONE_SURROGATE.test(part)) {
    return `#${createHash('sha256').update(part, 'utf16le').digest('base64url')}`;
  }
  return part.startsWith('#') ? `#${part}` : part;
}

/** The number of variants that one URL keeps by headers that only its handler names; the next one replaces another. */
const MAX_VARIANTS = 64;

/** The key of the variant of a URL for one selection of headers. */
export function variantKey(key: string, id: string, selection: string): string {
  return keyOfPlace(key, id, createHash('sha256').update(selection).digest().readUInt32BE(0) % MAX_VARIANTS);
}

/** The keys of all variants that a URL can have. */
export function variantKeys(key: string, id: string): string[] {
  return Array.from({ length: MAX_VARIANTS }, (_, place) => keyOfPlace(key, id, place));
}

function keyOfPlace(key: string, id: string, place: number): string {
  return `${key} | variant ${id} ${place}`;
}

/** What a host looks like; `Host` may be any text. */
const HOST = /^[\w.~:[\]-]+$/;

/**
 * The host that a request names, as it is written: a handler may read it. HTTP/2 names it in `:authority`. Empty when it
 * names none, as HTTP/1.0 allows, two different ones, or what can be no host: then the cache is passed by.
 */
export function hostOf(request: Fields): string {
  const authority = fieldText(request, ':authority');
  const named = fieldText(request, 'host') ?? authority ?? '';
  return (authority === undefined || authority === named) && HOST.test(named) ? named : '';
}

/** The absolute URL of a request; its scheme is not known. `undefined` when it has none that can be read. */
export function urlOf(host: string, target: string): string | undefined {
  const url = target.startsWith('/') ? `http://${host}${target}` : target;
  return (host !== '' || url === target) && URL.canParse(url) ? url : undefined;
}

/** The parts of an absolute URL. */
export interface UrlParts {
  readonly host: string;
  readonly path: string;
  readonly query: string;
}

/**
 * One form for all absolute URLs that name the same resource: without dot segments, with one percent encoding (RFC 3986
 * section 6.2.2), in lower case and without the default port in the host, as clients usually write it. The scheme does not
 * count: a server behind a proxy does not know it.
 * @throws TypeError for what is no URL
 */
export function canonicalParts(url: string): UrlParts {
  const { host, pathname, search } = new URL(url);
  return {
    host: host.toLowerCase().replace(/:(?:80|443)$/, ''),
    path: pathname.replace(/[^/]+/g, (segment) => recoded(segment, OPEN_IN_PATH)),
    query: search.slice(1).replace(/[^&=]+/g, (text) => recoded(text.replaceAll('+', '%20'), OPEN_IN_QUERY)),
  };
}

/** The characters that clients do not encode in a path, and in a query, though `encodeURIComponent` does. */
const OPEN_IN_PATH = /%(?:2C|3B|3A|40|26|3D|2B|24)/g;
const OPEN_IN_QUERY = /%(?:2C|3B|3A|40|24|2F|3F)/g;

/** A part of a URL in one percent encoding. */
function recoded(part: string, open: RegExp): string {
  try {
    return encodeURIComponent(decodeURIComponent(part)).replaceAll(open, decodeURIComponent);
  } catch {
    return part;
  }
}

/** The path of a URL without its query, and the query in the form of the key. */
export function splitUrl(url: string, rule: QueryRule): { readonly path: string; readonly query: string } {
  const mark = url.indexOf('?');
  if (mark < 0) {
    return { path: url, query: '' };
  }
  return { path: url.slice(0, mark), query: rule === 'none' ? '' : canonicalQuery(url.slice(mark + 1), rule) };
}

/**
 * The parameters sorted by name; those of one name keep their order, and so do those that parsers make one value of, such
 * as `a`, `a[]` and `a[b]`.
 */
function canonicalQuery(query: string, rule: QueryRule): string {
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => ({ pair, name: nameOf(pair) }))
    .filter(({ name }) => rule === 'all' || rule.includes(name))
    .map(({ pair, name }) => ({ pair, root: /^[^[.]*/.exec(name)?.[0] ?? '' }));
  // Parsers take a limited number of parameters: the order decides which.
  const ordered =
    pairs.length > MAX_SORTED ? pairs : pairs.toSorted((a, b) => (a.root < b.root ? -1 : Number(a.root > b.root)));
  return ordered.map(({ pair }) => pair).join('&');
}

/** `No-Vary-Search` for a rule of the query; `undefined` when every parameter counts, as without the field. */
export function noVarySearch(query: QueryRule): string | undefined {
  if (query === 'all') {
    return undefined;
  }
  const names = query === 'none' ? [] : query.map((name) => `"${encodeURIComponent(name)}"`);
  return names.length === 0 ? 'params' : `key-order, params, except=(${names.join(' ')})`;
}

function nameOf(pair: string): string {
  const [name = ''] = pair.split('=', 1);
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return name;
  }
}

/** The values of the declared request headers, in the form of the key; `undefined` when none is declared. */
export function declaredSelection(
  vary: Readonly<Record<string, VaryValue | null>>,
  request: Fields,
): string | undefined {
  const names = Object.keys(vary);
  return names.length === 0 ? undefined : JSON.stringify(names.map((name) => declaredValue(name, vary[name], request)));
}

/**
 * All results of {@link declaredSelection}; none when a header counts with any value, or there are too many to list.
 */
export function declaredSelections(vary: Readonly<Record<string, VaryValue | null>>): readonly (string | undefined)[] {
  const rules = Object.values(vary);
  if (rules.length === 0) {
    return [undefined];
  }
  let lists: (string | null)[][] = [[]];
  for (const rule of rules) {
    if (rule === null || typeof rule === 'function' || lists.length * rule.length > MAX_VARIANTS) {
      return [];
    }
    const values = rule.length === 0 ? [null] : rule;
    lists = lists.flatMap((list) => values.map((value) => list.concat(value)));
  }
  return lists.map((list) => JSON.stringify(list));
}

function declaredValue(name: string, rule: VaryValue | null | undefined, request: Fields): string | null {
  const text = fieldText(request, name);
  if (typeof rule === 'function') {
    return rule(text);
  }
  if (rule === null || rule === undefined) {
    return text === undefined ? null : listMembers(text).join(',');
  }
  return name === 'accept-language'
    ? (chooseLanguage(request, rule) ?? null)
    : (rule.find((value) => value.toLowerCase() === text?.trim().toLowerCase()) ?? rule[0] ?? null);
}
