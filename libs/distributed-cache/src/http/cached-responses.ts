import type { AsyncCache, DistributedCache, Lookup } from '../core/index.js';
import { sendAnswer } from './answers.js';
import { type AudienceReads, credentialOf, type ReadRules } from './credentials.js';
import { declaredSelection, responseKey, splitUrl, variantKey } from './entry/response-key.js';
import {
  entryOf,
  isVariantIndex,
  responseIn,
  type StoredEntry,
  type StoredResponse,
  type VariantIndex,
} from './entry/stored-response.js';
import { type Answer, type Exchange, type ResponseHead, responsesForCaches } from './exchange/exchange.js';
import { controlOf } from './response-control.js';
import { notModifiedFields } from './rules/validators.js';
import { type FillHost, type Place, ResponseFill } from './response-fill.js';
import { coreTtl } from './response-policy.js';
import { StoredAnswers } from './stored-answers.js';
import { type BoundRoute, optionProblem } from './module/bound-route.js';
import { type CachedRequest, type HttpCacheOptions, isCachedHost } from './module/options.js';
import { CacheControl } from './rules/cache-control.js';
import { appended, cacheStatusMember, type CacheStatus, type ForwardReason } from './rules/cache-status.js';
import { type RequestDemand, requestDemand, satisfiesDemand } from './rules/request-directives.js';
import type { Fields } from './rules/fields.js';
import { selectionKey } from './rules/selecting-headers.js';

/** The cache is passed by for a longer URL, which hardly any second request has. In characters. */
const MAX_URL_LENGTH = 2048;

/** How long a key whose response may not be stored is not tried again, in milliseconds. */
const UNCACHEABLE_MS = 10_000;
const MAX_UNCACHEABLE = 1000;

/** How long a response is kept after a soft purge, to be sent stale or to be validated. */
const SOFT_PURGE_GRACE = '1h';

/** The maximum number of refreshes in the background at one time; one more is left to the next request. */
const MAX_REFRESHES = 32;

/** Makes a request once more with no client behind it. */
export type Replay = (exchange: Exchange, place: Place) => void;

type Decision = 'answered' | 'passed';

/**
 * The response cache of one application. For each request of a cached route it decides, after all guards have let it
 * pass: to answer from a stored response, or to let the handler run, and then to store its response or not.
 *
 * While Redis can't be used, responses come from L1 within the limits of the fallback, and each process runs its own
 * handlers. No fault of a tier reaches a client.
 */
export class CachedResponses implements FillHost {
  readonly cache: AsyncCache<StoredEntry | null>;
  private readonly isHonouringRequests: boolean;
  private readonly credentials: readonly string[];
  private readonly answers: StoredAnswers;
  readonly uncacheable = new UncacheableKeys();
  private readonly refreshing = new Set<string>();
  private readonly reported = new Set<string>();

  constructor(
    distributedCache: DistributedCache,
    readonly options: HttpCacheOptions,
    private readonly replay: Replay,
    private readonly warn: (message: string) => void,
  ) {
    this.isHonouringRequests = options.rules === 'rfc9111';
    this.credentials = options.credentials ?? [];
    this.cache = distributedCache.getCache<StoredEntry | null>(options.namespace ?? 'http', {
      values: 'shared',
      grace: SOFT_PURGE_GRACE,
    });
    const { isHonouringRequests } = this;
    const hasMemory = distributedCache.config.local !== false;
    const statusMember = (status: CacheStatus): string | undefined => this.statusMember(status);
    this.answers = new StoredAnswers(this.cache, statusMember, { isHonouringRequests, hasMemory });
  }

  /** @returns whether the exchange was answered; if not, the handler runs */
  handle(exchange: Exchange, route: BoundRoute): Decision | Promise<Decision> {
    const keyed = this.keyOf(exchange, route);
    if ('bypass' in keyed) {
      return this.pass(exchange, { forward: keyed.bypass === 'method' ? 'method' : 'bypass', detail: keyed.bypass });
    }
    if (route.isForCaches) {
      responsesForCaches.add(exchange.raw.response);
    }
    return this.answers.sendFromMemory(exchange, route, keyed.key) ? 'answered' : this.answer(exchange, route, keyed);
  }

  /**
   * Lets the handler of a repeated request run, and stores its response at the given place: not when its guards say now
   * that the client is of another audience.
   */
  async refresh(exchange: Exchange, route: BoundRoute, place: Place): Promise<Decision> {
    const keyed = this.keyOf(exchange, route, true);
    if ('bypass' in keyed || keyed.key !== place.indexKey) {
      return this.pass(exchange, { forward: 'stale', detail: 'audience' });
    }
    const { audienceReads } = keyed;
    return this.fill(exchange, route, { ...place, audienceReads }, 'stale', requestDemand({}, false));
  }

  /** The key of a request, or why the cache is passed by. The functions of the options run here, each once. */
  private keyOf(exchange: Exchange, route: BoundRoute, isRefresh = false): Keyed | { readonly bypass: string } {
    try {
      const bypass = isRefresh ? undefined : this.bypassReason(exchange, route);
      const { audience, reads } = bypass === undefined ? this.audienceOf(exchange, route) : {};
      if (bypass !== undefined || (audience === undefined && typeof route.audience === 'function')) {
        return { bypass: bypass ?? 'audience' };
      }
      const { path: asked, query } = splitUrl(exchange.url, route.query);
      const path = exchange.rewrittenUrl === undefined ? asked : `${asked} ${exchange.rewrittenUrl}`;
      const selection = declaredSelection(route.vary, exchange.requestFields);
      const key = responseKey({ route: route.name, host: exchange.host, path, query, audience, selection });
      return { key, audienceReads: reads };
    } catch (error) {
      this.report(route, optionProblem(error));
      return { bypass: 'option-error' };
    }
  }

  private audienceOf(
    { request, raw }: Exchange,
    route: BoundRoute,
  ): { readonly audience?: string | undefined; readonly reads?: AudienceReads } {
    const { audience, audienceWatch } = route;
    if (typeof audience !== 'function') {
      return {};
    }
    const call = (): string | undefined => audience(request as CachedRequest);
    if (this.options.rules === 'rfc9111') {
      return { audience: call() };
    }
    const { text, reads } = audienceWatch.run(call, request, raw.request, raw.response, this.readRules(route));
    return { audience: text, reads };
  }

  readRules({ audience, varyNames }: BoundRoute): ReadRules {
    return { credentials: this.credentials, isAnonymous: audience === 'anonymous', keyHeaders: varyNames };
  }

  private bypassReason(exchange: Exchange, route: BoundRoute): string | undefined {
    const { method, url, host, request, requestFields } = exchange;
    if (method !== 'GET' && method !== 'HEAD') {
      return 'method';
    }
    if (hasBody(requestFields, exchange.raw.request as RequestOfHttp2)) {
      return 'body';
    }
    if (url.length > MAX_URL_LENGTH) {
      return 'url-length';
    }
    if (!url.startsWith('/')) {
      return 'url-form'; // with a host of its own, as a proxy is asked
    }
    if (!isCachedHost(this.options, host)) {
      return 'host';
    }
    if (isRestricted(exchange.field('cache-control'))) {
      return 'no-store';
    }
    if (route.when?.(request as CachedRequest) === false) {
      return 'when';
    }
    return route.audience === 'anonymous' && this.options.rules !== 'rfc9111'
      ? credentialOf(request, requestFields, this.credentials)
      : undefined;
  }

  /** @param isFirst whether this is the first look: a load that is expected to find nothing then begins without it */
  private async answer(exchange: Exchange, route: BoundRoute, keyed: Keyed, isFirst = true): Promise<Decision> {
    const demand = requestDemand(exchange.requestFields, this.isHonouringRequests);
    if (isFirst && !this.isHonouringRequests && !this.uncacheable.has(keyed.key) && this.cache.loads.expectsMiss) {
      return this.fill(exchange, route, { indexKey: keyed.key, mayLookAgain: true, ...keyed }, 'uri-miss', demand);
    }
    const { place: located, found } = await this.locate(exchange, keyed);
    const place = { mayLookAgain: isFirst, ...located };
    if (found === undefined) {
      return demand.onlyIfCached
        ? this.refuse(exchange)
        : this.fill(exchange, route, place, place.selection === undefined ? 'uri-miss' : 'vary-miss', demand);
    }
    const { stored, ageMs, ttlMs } = found;
    const ageNowMs = stored.initialAgeMs + ageMs;
    // A soft purge ends the lifetime that the response was stored with.
    const lifetimeMs = Math.min(stored.initialAgeMs + stored.freshMs, ageNowMs + ttlMs);
    const times = { ageMs: ageNowMs, lifetimeMs };
    const staleMs = -ttlMs;
    const mayBeStale = stored.whileRevalidateMs > 0 || stored.ifErrorMs > 0;
    if (satisfiesDemand({ mayBeStale, ...times }, demand) || demand.onlyIfCached) {
      this.answers.send(exchange, route, place.key, found, { ttlSeconds: ttlMs / 1000 });
      return 'answered';
    }
    if (staleMs >= 0 && staleMs < stored.whileRevalidateMs && !demand.mustValidate) {
      this.refreshInBackground(exchange, place, stored);
      const status = { ttlSeconds: ttlMs / 1000, detail: 'stale-while-revalidate' };
      this.answers.send(exchange, route, place.key, found, status);
      return 'answered';
    }
    if (staleMs < 0) {
      await this.cache.expire(place.key); // fresh, and the client demands a newer one
    }
    return this.fill(
      exchange,
      route,
      { ...place, stale: { stored, staleMs } },
      staleMs < 0 ? 'request' : 'stale',
      demand,
    );
  }

  /** The stored response of a request, and the place of the next one: behind an index, if the URL has variants. */
  private async locate(
    exchange: Exchange,
    { key, audienceReads }: Keyed,
  ): Promise<{ place: Place; found: Found | undefined }> {
    const first = await this.cache.lookup(key);
    const entry = valueOf(first);
    if (!isVariantIndex(entry)) {
      return { place: { key, indexKey: key, audienceReads }, found: foundIn(first, undefined) };
    }
    const selection = selectionKey(entry.names, exchange.requestFields);
    const place = {
      key: variantKey(key, entry.id, selection),
      indexKey: key,
      selection,
      index: entry,
      audienceReads,
    };
    return { place, found: foundIn(await this.cache.lookup(place.key), selection) };
  }

  private async fill(
    exchange: Exchange,
    route: BoundRoute,
    place: Place,
    forward: ForwardReason,
    demand: RequestDemand,
  ): Promise<Decision> {
    if (demand.mustNotStore || this.uncacheable.has(place.key)) {
      return this.pass(exchange, { forward, detail: 'uncacheable' });
    }
    const startedAtMs = performance.now();
    const filling = new ResponseFill(this, exchange, route, place, forward);
    const outcome = await filling.begin();
    switch (outcome.kind) {
      case 'leads':
        return 'passed';
      case 'failed':
        return this.pass(exchange, { forward });
      case 'collapsed':
        break;
    }
    const keyed = { key: place.indexKey, audienceReads: place.audienceReads };
    if (isVariantIndex(outcome.entry)) {
      return this.answer(exchange, route, keyed, false);
    }
    const entry = responseIn(outcome.entry);
    if (place.mayLookAgain === true && entry !== undefined) {
      const found = place.stale === undefined ? (await this.locate(exchange, keyed)).found : undefined;
      if (isEarlier(entry, place.stale, found, performance.now() - startedAtMs)) {
        return this.answer(exchange, route, keyed, false);
      }
    }
    const isOwn = entry !== undefined && entry.selection === place.selection && entry.id !== place.stale?.stored.id;
    if (entry === undefined || !isOwn) {
      return this.pass(exchange, { forward, isCollapsed: true });
    }
    const status = { forward, isCollapsed: true, ttlSeconds: entry.freshMs / 1000 };
    this.answers.send(exchange, route, place.key, { stored: entry, ageMs: 0 }, status);
    return 'answered';
  }

  private refreshInBackground(exchange: Exchange, place: Place, stored: StoredResponse): void {
    if (this.refreshing.has(place.key) || this.refreshing.size >= MAX_REFRESHES) {
      return;
    }
    this.refreshing.add(place.key);
    const done = (): void => void this.refreshing.delete(place.key);
    this.replay(exchange, { ...place, stale: { stored, staleMs: 0 }, done });
  }

  /** Stores one of several responses of a URL: the first one, whose index the URL gets in its place. */
  storeVariant(
    key: string,
    { id }: VariantIndex,
    entry: StoredResponse,
    { tags, keptStaleMs }: { readonly tags: readonly string[]; readonly keptStaleMs: number },
  ): void {
    const options = { ttl: coreTtl(entry.freshMs), grace: keptStaleMs / 1000, tags };
    void this.cache.set(variantKey(key, id, entry.selection ?? ''), entryOf(entry), options);
  }

  report(route: BoundRoute, problem: string): void {
    if (!this.reported.has(route.name)) {
      this.reported.add(route.name);
      this.warn(`${route.name} is not cached: ${problem}`);
    }
  }

  /** 504 for `only-if-cached` (RFC 9111 section 5.2.1.7). */
  private refuse(exchange: Exchange): Decision {
    sendAnswer(exchange, { status: 504, fields: {}, body: Buffer.alloc(0) }, this.statusMember({ forward: 'request' }));
    return 'answered';
  }

  private pass(exchange: Exchange, status: CacheStatus): Decision {
    this.announce(exchange, status);
    const answerNotModified = {
      onHead: ({ fields }: ResponseHead): Answer => ({ status: 304, fields: notModifiedFields(fields) }),
      onEnd: () => {},
    };
    const set = (name: string, value: string): void => exchange.setField(name, value);
    const control = controlOf(exchange.raw.request);
    control.attach(set, exchange.requestFields, undefined, () => exchange.follow(answerNotModified, 0));
    return 'passed';
  }

  /** Adds the member of this cache to `Cache-Status`. */
  announce(exchange: Exchange, status: CacheStatus): void {
    const member = this.statusMember(status);
    if (member !== undefined) {
      exchange.setField('cache-status', appended(exchange.field('cache-status'), member));
    }
  }

  statusMember({ detail, ...status }: CacheStatus): string | undefined {
    const { status: mode = 'brief', namespace = 'http' } = this.options;
    if (mode === false) {
      return undefined;
    }
    return cacheStatusMember(namespace, mode === 'reasons' && detail !== undefined ? { ...status, detail } : status);
  }
}

/**
 * Whether a response that another load has brought was stored before the request, which took `tookMs` so far. It is a hit
 * then, and its age counts; or it is the stale response itself, which the load that the request has joined was still
 * storing.
 */
function isEarlier({ id }: StoredResponse, stale: Place['stale'], found: Found | undefined, tookMs: number): boolean {
  return stale?.stored.id === id || (found?.stored.id === id && found.ageMs > tookMs);
}

/** The keys whose responses may not be stored: their next requests do not wait for each other. */
class UncacheableKeys {
  private readonly untilMs = new Map<string, number>();

  add(key: string): void {
    const { untilMs } = this;
    untilMs.delete(key);
    untilMs.set(key, Date.now() + UNCACHEABLE_MS);
    const [oldest] = untilMs.keys();
    if (untilMs.size > MAX_UNCACHEABLE && oldest !== undefined) {
      untilMs.delete(oldest);
    }
  }

  has(key: string): boolean {
    return (this.untilMs.get(key) ?? 0) > Date.now();
  }
}

/** Whether middleware has marked the response as one for this client alone: `no-store` or `private`. */
function isRestricted(before: Fields[string]): boolean {
  const control = before === undefined ? undefined : CacheControl.of({ 'cache-control': before });
  return control?.has('no-store') === true || control?.has('private') === true;
}

/** Whether a request has a body, which is not part of the key: its handler may depend on it. */
function hasBody(fields: Fields, { stream }: RequestOfHttp2): boolean {
  const length = fields['content-length'];
  const isSaid = (length !== undefined && length !== '0') || fields['transfer-encoding'] !== undefined;
  return isSaid || stream?.endAfterHeaders === false;
}

/** HTTP/2 needs no field for a body. */
interface RequestOfHttp2 {
  readonly stream?: { readonly endAfterHeaders?: boolean };
}

/** The key of a request. */
interface Keyed {
  readonly key: string;
  readonly audienceReads?: AudienceReads | undefined;
}

/** A stored response, and its times by the cache's clock. */
interface Found {
  readonly stored: StoredResponse;
  readonly ageMs: number;
  /** The rest of its lifetime; negative past it. */
  readonly ttlMs: number;
}

function valueOf(lookup: Lookup<StoredEntry | null>): StoredEntry | undefined {
  return lookup.state === 'miss' || lookup.value === null ? undefined : lookup.value;
}

/** @param selection the selecting headers of the request, when the URL has variants */
function foundIn(lookup: Lookup<StoredEntry | null>, selection: string | undefined): Found | undefined {
  const stored = responseIn(valueOf(lookup));
  return lookup.state === 'miss' || stored === undefined || stored.selection !== selection
    ? undefined
    : { stored, ageMs: lookup.ageMs, ttlMs: lookup.ttlMs };
}
