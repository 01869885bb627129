import { isDuration, toMs, type Duration } from '../../core/index.js';
import { AudienceWatch } from '../credentials.js';
import {
  declaredSelections,
  type QueryRule,
  responseKey,
  splitUrl,
  type UrlParts,
  type VaryValue,
} from '../entry/response-key.js';
import { codingChooser } from '../rules/content-coding.js';
import type { CachedRequest, CachedResponseOptions, ClientRule, HandlerResponse, HttpCacheOptions } from './options.js';

const ONE_MINUTE_MS = 60_000;
const ONE_DAY_MS = 86_400_000;
const DEFAULT_MAX_BODY_BYTES = 1_048_576;
const DEFAULT_STATUSES = [200, 203, 204, 301, 308];
const NO_TAGS: readonly string[] = [];

/** The options of one route, complete and checked. Times in milliseconds. */
export interface BoundRoute {
  /** Class and method. */
  readonly name: string;
  readonly ttlMs: number | 'response';
  /** A function gives a text, or `undefined`. */
  readonly audience: NonNullable<CachedResponseOptions['audience']>;
  /** Notes what the function of the audience reads. */
  readonly audienceWatch: AudienceWatch;
  /** The declared request headers in lower case, each with its rule; `null`: the value as it is. */
  readonly vary: Readonly<Record<string, VaryValue | null>>;
  readonly varyNames: readonly string[];
  readonly query: QueryRule;
  /** What the path of each URL of the route matches. */
  readonly pathEnd: RegExp;
  readonly tags: NonNullable<CachedResponseOptions['tags']>;
  /** Whether the rules are those of RFC 9111 by the letter. */
  readonly isByTheLetter: boolean;
  readonly whileRevalidateMs: number;
  readonly ifErrorMs: number;
  /** How long an entry is kept after its TTL, to be sent stale or to be validated. */
  readonly keptStaleMs: number;
  readonly clients: ClientRule;
  /** Whether `clients` lets caches in front keep responses. */
  readonly isForCaches: boolean;
  /** The TTL per status; `undefined`: that of the route. */
  readonly statuses: ReadonlyMap<number, number | undefined>;
  readonly maxBodyBytes: number;
  readonly encodings: readonly ('br' | 'gzip')[];
  /** The coding of them that a request prefers. */
  readonly codingFor: ReturnType<typeof codingChooser>;
  readonly when: CachedResponseOptions['when'];
  readonly cacheIf: CachedResponseOptions['cacheIf'];
}

const OPTION_NAMES: Readonly<Record<keyof CachedResponseOptions, true>> = {
  ttl: true,
  audience: true,
  vary: true,
  query: true,
  tags: true,
  staleWhileRevalidate: true,
  staleIfError: true,
  clients: true,
  statuses: true,
  maxBodyBytes: true,
  encodings: true,
  when: true,
  cacheIf: true,
};

/** Completes the options of a route. @throws TypeError that names class and method, for an option that is wrong */
export function bindRoute(
  name: string,
  options: CachedResponseOptions,
  module: HttpCacheOptions,
  pathEnd = ANY_PATH,
): BoundRoute {
  checkOptions(name, options);
  const vary = varyRules(options.vary ?? []);
  const whileRevalidateMs = toMs(options.staleWhileRevalidate ?? 0);
  const isByTheLetter = module.rules === 'rfc9111';
  const ifErrorMs = toMs(options.staleIfError ?? (isByTheLetter ? ONE_MINUTE_MS / 1000 : 0));
  // The compressed length of what one client gets tells others of its content: not compressed unless asked for.
  const encodings =
    options.encodings === false
      ? []
      : (options.encodings ?? (typeof options.audience === 'function' ? [] : (['br', 'gzip'] as const)));
  const { clients = 'revalidate' } = options;
  const ttl = options.ttl ?? module.ttl ?? ONE_MINUTE_MS / 1000;
  return {
    name,
    ttlMs: ttl === 'response' ? ttl : toMs(ttl),
    audience: typeof options.audience === 'function' ? audienceOf(options.audience) : (options.audience ?? 'anonymous'),
    audienceWatch: new AudienceWatch(),
    vary,
    varyNames: Object.keys(vary),
    query: options.query ?? 'all',
    pathEnd,
    tags: typeof options.tags === 'function' ? tagsOf(options.tags) : (options.tags ?? NO_TAGS),
    isByTheLetter,
    whileRevalidateMs,
    ifErrorMs,
    keptStaleMs: Math.max(whileRevalidateMs, ifErrorMs, isByTheLetter ? ONE_DAY_MS : ONE_MINUTE_MS),
    clients,
    isForCaches:
      (options.audience ?? 'anonymous') === 'anonymous' && clients !== 'revalidate' && clients !== 'no-store',
    statuses: new Map([
      ...DEFAULT_STATUSES.map((status) => [status, undefined] as const),
      ...Object.entries(options.statuses ?? {}).map(([status, ttlOfIt]) => [Number(status), toMs(ttlOfIt)] as const),
    ]),
    maxBodyBytes: options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
    encodings,
    codingFor: codingChooser(encodings),
    when: options.when && conditionOf<CachedRequest>('when', options.when),
    cacheIf: options.cacheIf && conditionOf<HandlerResponse>('cacheIf', options.cacheIf),
  };
}

function varyRules(vary: NonNullable<CachedResponseOptions['vary']>): Record<string, VaryValue | null> {
  const isList = (rules: typeof vary): rules is readonly string[] => Array.isArray(rules);
  const entries = isList(vary) ? vary.map((name) => [name, null] as const) : Object.entries(vary);
  return Object.fromEntries(
    entries.map(([name, rule]) => [name.toLowerCase(), typeof rule === 'function' ? varyValueOf(name, rule) : rule]),
  );
}

/*
 * The functions of the options, with their results checked: many of them read `request.user`, which has no type. A
 * promise or an object as the text of an audience would be one text for all clients.
 */

/** A function of the options gave what it must not. The message says which one, and what it has to give. */
class OptionResultError extends TypeError {
  override readonly name = 'OptionResultError';

  constructor(option: string, expected: string, result: unknown) {
    const given =
      result instanceof Promise ? 'a promise' : typeof result === 'object' ? 'an object' : `a ${typeof result}`;
    super(`its option ${option} must return ${expected}, and returned ${given}`);
  }
}

/** What the log says of an error that a function of the options has thrown. */
export function optionProblem(error: unknown): string {
  return error instanceof OptionResultError ? error.message : 'a function of @CachedResponse threw';
}

function audienceOf(call: (request: CachedRequest) => unknown): (request: CachedRequest) => string | undefined {
  return (request) => {
    const result = call(request);
    return result === undefined || result === null
      ? undefined
      : textOf('audience', 'a text, such as String(request.user.id), or undefined', result);
  };
}

function varyValueOf(
  name: string,
  call: (value: string | undefined) => unknown,
): (value: string | undefined) => string {
  return (value) => textOf(`vary of ${name}`, 'a text', call(value));
}

function textOf(option: string, expected: string, result: unknown): string {
  if (
    typeof result === 'string' ||
    typeof result === 'number' ||
    typeof result === 'bigint' ||
    typeof result === 'boolean'
  ) {
    return `${result}`;
  }
  throw new OptionResultError(option, expected, result);
}

function conditionOf<Subject>(option: string, call: (subject: Subject) => unknown): (subject: Subject) => boolean {
  return (subject) => {
    const result = call(subject);
    if (typeof result === 'object' && result !== null) {
      throw new OptionResultError(option, 'true or false', result);
    }
    return Boolean(result);
  };
}

type TagsOf = Extract<CachedResponseOptions['tags'], (...args: never) => unknown>;

function tagsOf(call: TagsOf): TagsOf {
  return (request, response) => {
    const result: unknown = call(request, response);
    if (!Array.isArray(result)) {
      throw new OptionResultError('tags', 'a list of texts', result);
    }
    return result as string[];
  };
}

function checkOptions(name: string, options: CachedResponseOptions): void {
  const refuse = (option: string, allowed: string): never => {
    throw new TypeError(`@CachedResponse of ${name}: ${option} must be ${allowed}`);
  };
  for (const option of Object.keys(options)) {
    if (!Object.hasOwn(OPTION_NAMES, option)) {
      refuse(option, `left out: the options are ${Object.keys(OPTION_NAMES).join(', ')}`);
    }
  }
  const checkTime = (option: string, time: Duration | undefined): void => {
    if (time !== undefined && !isDuration(time)) {
      refuse(option, "a duration, such as '5m', or seconds");
    }
  };
  if (options.ttl !== 'response') {
    checkTime('ttl', options.ttl);
  }
  checkTime('staleWhileRevalidate', options.staleWhileRevalidate);
  checkTime('staleIfError', options.staleIfError);
  for (const [status, ttl] of Object.entries(options.statuses ?? {})) {
    checkTime(`statuses.${status}`, ttl);
  }
  const { audience } = options;
  if (audience !== undefined && audience !== 'anonymous' && audience !== 'everyone' && typeof audience !== 'function') {
    refuse('audience', "'anonymous', 'everyone' or a function of the request");
  }
}

/**
 * The keys of all responses of a URL on a route, when they can be told from the URL; none when a header counts with any
 * value, only some clients share a response, or the URL is none of the route.
 */
export function listedKeys({ name, audience, vary, query, pathEnd }: BoundRoute, url: UrlParts): string[] {
  if (typeof audience === 'function' || !pathEnd.test(url.path)) {
    return [];
  }
  const parts = { route: name, host: url.host, ...splitUrl(`${url.path}?${url.query}`, query) };
  return declaredSelections(vary).map((selection) => responseKey({ ...parts, selection }));
}

/** Any path. */
const ANY_PATH = /(?:)/;

/**
 * What the path of a URL of a method ends with, by the paths of its controller and of itself: prefixes come before it.
 * Where a path has more than names and parameters, it is any path.
 */
export function pathEndOf(controller: object, handler: object): RegExp {
  const pathsOf = (target: object): string[] =>
    [(Reflect.getMetadata('path', target) ?? '') as string | string[]].flat();
  const paths = pathsOf(controller).flatMap((start) => pathsOf(handler).map((end) => `${start}/${end}`));
  const ends = paths.map((path) => path.split('/').filter((segment) => segment !== ''));
  if (ends.some((end) => end.length === 0 || !end.every((segment) => /^(?::\w+|[\w-]+)$/.test(segment)))) {
    return ANY_PATH;
  }
  const patterns = ends.map((end) => end.map((segment) => (segment.startsWith(':') ? '[^/]+' : segment)).join('/'));
  return new RegExp(`/(?:${patterns.join('|')})/?$`, 'i');
}
