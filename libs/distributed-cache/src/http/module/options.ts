import { type Duration, isDuration } from '../../core/index.js';
import type { QueryRule, VaryValue } from '../entry/response-key.js';
import type { TagField } from '../rules/invalidation.js';
import type { RulesProfile } from '../rules/storability.js';

/** A request as Express or Fastify gives it. */
export interface CachedRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly method: string;
  readonly url: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- guards and middleware add what they like: `request.user.id`
  readonly [property: string]: any;
}

/** The response of a handler, for the functions of the options. */
export interface HandlerResponse {
  readonly status: number;
  /** The fields that the handler set, by lower-case name. */
  readonly headers: Readonly<Record<string, string | number | readonly string[] | undefined>>;
}

/** The `Cache-Control` for clients and for shared caches between them and this application. */
export type ClientRule =
  | 'revalidate'
  | 'no-store'
  | Duration
  | { readonly browser?: Duration; readonly cdn?: Duration; readonly immutable?: boolean };

/**
 * How the responses of one route are cached. When one of its functions throws, the request is answered as without the
 * cache, and the log names the route once.
 */
export interface CachedResponseOptions {
  /**
   * How long a response is fresh in this cache; `'response'`: what its `s-maxage`, `max-age` or `Expires` says.
   * `no-store`, `private` and `no-cache` of the response always restrict. Default: the module's `ttl`.
   */
  readonly ttl?: Duration | 'response';
  /**
   * The clients that share an entry. `'anonymous'`: only requests without credentials are looked up and stored.
   * `'everyone'`: all that pass the guards get the same body. A function: those for which it returns the same text;
   * `undefined` passes the cache by. Default `'anonymous'`.
   */
  readonly audience?: 'anonymous' | 'everyone' | ((request: CachedRequest) => string | undefined);
  /**
   * Request headers that the response depends on: names, or for each name the values that are told apart (best match for
   * `accept-language`), or a function that gives the value. They are sent as `Vary`. Default: none.
   */
  readonly vary?: readonly string[] | Readonly<Record<string, VaryValue>>;
  /** The query parameters that the response depends on. Default `'all'`. */
  readonly query?: QueryRule;
  /** Tags of the entry; `{name}` stands for a parameter of the route. Default: none. */
  readonly tags?: readonly string[] | ((request: CachedRequest, response: HandlerResponse) => readonly string[]);
  /** How long past its TTL a response is sent while it is refreshed in the background. Default 0. */
  readonly staleWhileRevalidate?: Duration;
  /** How long past its TTL a response is sent when its handler fails (an error or a status of 500 and above). Default 0. */
  readonly staleIfError?: Duration;
  /** The `Cache-Control` that is sent when the handler sets none. Default `'revalidate'`: `no-cache` and an ETag. */
  readonly clients?: ClientRule;
  /** Further statuses that are stored, each with its TTL: `{ 404: '10s' }`. Default: 200, 203, 204, 301, 308. */
  readonly statuses?: Readonly<Record<number, Duration>>;
  /** The largest body that is stored, in bytes. A larger one is sent and not stored. Default 1 MiB. */
  readonly maxBodyBytes?: number;
  /**
   * The content codings that a body is kept in, the best one first. `false`: only as it is. Default `['br', 'gzip']`;
   * with an `audience` function `false`, because the compressed length of a body tells of its content.
   */
  readonly encodings?: false | readonly ('br' | 'gzip')[];
  /** Whether the cache is used for a request. Default: always. */
  readonly when?: (request: CachedRequest) => boolean;
  /** Whether a response is stored. Default: always. */
  readonly cacheIf?: (response: HandlerResponse) => boolean;
}

/** The options of the response cache of an application. */
export interface HttpCacheOptions {
  /** The TTL of routes without their own. Default one minute. */
  readonly ttl?: Duration | 'response';
  /** The set of rules. Default `'careful'`. */
  readonly rules?: RulesProfile;
  /** Request headers that are credentials besides `Authorization` and `Cookie`, such as `x-api-key`. Default: none. */
  readonly credentials?: readonly string[];
  /** The host names that are cached; requests to others pass. Default: all. */
  readonly hosts?: readonly string[];
  /**
   * Response fields of targeted cache control, the most specific one first (RFC 9213). Default: none; with
   * `rules: 'rfc9111'` `CDN-Cache-Control`.
   */
  readonly targets?: readonly string[];
  /**
   * The field in which responses carry their tags to caches in front of this application: Fastly's, Cloudflare's, or that of
   * RFC 9875. Default `false`: none.
   */
  readonly emitTags?: TagField | false;
  /** What `Cache-Status` says. Default `'brief'`. */
  readonly status?: 'brief' | 'reasons' | false;
  /** The namespace of the entries. Default `http`. */
  readonly namespace?: string;
}

/** The interface of a class that is given as `useClass` or `useExisting` to `forRootAsync`. */
export interface HttpCacheOptionsFactory {
  /** Returns the options, as for `forRoot`. Called once, at the start; if it throws, the start fails with its error. */
  createHttpCacheOptions(): HttpCacheOptions | Promise<HttpCacheOptions>;
}

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((text) => typeof text === 'string' && text !== '');
const isOneOf =
  (...values: readonly unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value);

/** What each option may be: a test, and its name in the error. */
const ALLOWED: Readonly<Record<keyof HttpCacheOptions, readonly [(value: unknown) => boolean, string]>> = {
  ttl: [(value) => value === 'response' || isDuration(value), "a duration, such as '5m', or 'response'"],
  rules: [isOneOf('careful', 'rfc9111'), "'careful' or 'rfc9111'"],
  credentials: [isTexts, 'a list of header names'],
  hosts: [isTexts, 'a list of host names'],
  targets: [isTexts, 'a list of header names'],
  emitTags: [
    isOneOf('surrogate-key', 'cache-tag', 'cache-groups', false),
    "'surrogate-key', 'cache-tag', 'cache-groups' or false",
  ],
  status: [isOneOf('brief', 'reasons', false), "'brief', 'reasons' or false"],
  namespace: [(value) => typeof value === 'string' && value !== '', 'the name of a namespace'],
};

/**
 * The checked options, with the names of headers and hosts in lower case.
 * @throws TypeError that names each option that is unknown or wrong
 */
export function completeOptions(options: HttpCacheOptions): HttpCacheOptions {
  const problems = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value]) => {
      const [isAllowed, allowed] = Object.hasOwn(ALLOWED, name)
        ? ALLOWED[name as keyof HttpCacheOptions]
        : [() => false, `left out: the options are ${Object.keys(ALLOWED).join(', ')}`];
      return isAllowed(value) ? [] : [`${name} must be ${allowed}`];
    });
  if (problems.length > 0) {
    throw new TypeError(`HttpCacheModule: ${problems.join('; ')}`);
  }
  const { targets = options.rules === 'rfc9111' ? ['cdn-cache-control'] : [], credentials = [], hosts } = options;
  const lowerCase = (names: readonly string[]): string[] => names.map((name) => name.toLowerCase());
  return {
    ...options,
    targets: lowerCase(targets),
    credentials: lowerCase(credentials),
    ...(hosts !== undefined && { hosts: lowerCase(hosts) }),
  };
}

/** Whether the responses of a host are cached. @param host with or without its port; empty: none is named */
export function isCachedHost({ hosts }: HttpCacheOptions, host: string): boolean {
  return host !== '' && (hosts === undefined || hosts.includes(host.toLowerCase().replace(/:\d+$/, '')));
}
