import type { CacheControl } from './cache-control.js';
import { type Fields } from './fields.js';
import { varyNames } from './selecting-headers.js';

/**
 * The set of rules. `careful`: an application's own cache that never shares what might belong to one client. `rfc9111`:
 * a shared cache by the letter of RFC 9111, for gateways.
 */
export type RulesProfile = 'careful' | 'rfc9111';

/** The reason for which a response is not stored; it is the `detail` of `Cache-Status`. */
export type StorageRefusal =
  | 'method'
  | 'range-request'
  | 'status'
  | 'partial'
  | 'no-store'
  | 'private'
  | 'vary-star'
  | 'set-cookie'
  | 'authorization'
  | 'no-lifetime';

export interface Exchange {
  /** The method of the request, in upper case. */
  readonly method: string;
  readonly requestFields: Fields;
  readonly status: number;
  readonly responseFields: Fields;
  /** The directives of the response that apply to this cache. */
  readonly control: CacheControl;
}

export interface StorageRules {
  readonly profile: RulesProfile;
  /** The statuses that are stored without a stated lifetime, with the cache's own TTL. */
  readonly statuses: { has(status: number): boolean };
  /** Whether entries are kept apart by whom the request comes from: then `Authorization` does not forbid. */
  readonly isKeptApart: boolean;
  /** Whether the response states a lifetime or has a validator of its own. */
  readonly isReusable: boolean;
}

/** The statuses whose caching requirements this cache implements, for `must-understand` (RFC 9111 section 5.2.2.3). */
const UNDERSTOOD_STATUSES: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 451, 500, 501, 502, 503, 504,
]);

/** The directives that allow a shared cache to store the answer to an authenticated request (section 3.5). */
const ALLOW_AUTHENTICATED = ['public', 's-maxage', 'must-revalidate'] as const;

type Check = (exchange: Exchange, rules: StorageRules) => boolean;

const isCareful = ({ profile }: StorageRules): boolean => profile === 'careful';

/** The reasons against storing a response, in the order in which they are named. */
const REFUSALS: Readonly<Record<StorageRefusal, Check>> = {
  method: ({ method }) => method !== 'GET' && method !== 'HEAD',
  'range-request': ({ requestFields, status }) => requestFields['range'] !== undefined && status !== 200,
  partial: ({ status }) => status === 206,
  status: ({ status }) => status < 200 || status === 304,
  'no-store': ({ control, status }) =>
    control.has('must-understand') ? !UNDERSTOOD_STATUSES.has(status) : control.has('no-store'),
  private: ({ control }, rules) => (isCareful(rules) ? control.has('private') : control.appliesToAll('private')),
  'vary-star': ({ responseFields }) => varyNames(responseFields) === '*',
  'set-cookie': ({ responseFields }, rules) => isCareful(rules) && responseFields['set-cookie'] !== undefined,
  authorization: ({ requestFields, control }, rules) =>
    requestFields['authorization'] !== undefined &&
    !rules.isKeptApart &&
    (isCareful(rules) || !ALLOW_AUTHENTICATED.some((directive) => control.has(directive))),
  'no-lifetime': ({ status }, rules) => !rules.isReusable && !rules.statuses.has(status),
};
const REASONS = Object.keys(REFUSALS) as readonly StorageRefusal[];

/**
 * Whether a response may be stored (RFC 9111 section 3).
 * @returns the reason for which it may not; `undefined` when it may
 */
export function refusalToStore(exchange: Exchange, rules: StorageRules): StorageRefusal | undefined {
  return REASONS.find((reason) => REFUSALS[reason](exchange, rules));
}

/**
 * Whether a stored response must be validated before each use (RFC 9111 section 5.2.2.4). `no-cache="field"` asks only
 * for those fields; the careful profile validates all of it.
 */
export function mustAlwaysValidate(control: CacheControl, profile: RulesProfile): boolean {
  return profile === 'careful' ? control.has('no-cache') : control.appliesToAll('no-cache');
}
