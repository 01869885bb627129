import { type Duration, MAX_DURATION_MS } from '../config/index.js';
import { withParams } from './decorators/cached-response.decorator.js';
import { canonicalParts, noVarySearch, splitUrl, urlOf } from './entry/response-key.js';
import { newId, type StoredResponse } from './entry/stored-response.js';
import type { Exchange, ResponseHead } from './exchange/exchange.js';
import { type BoundRoute, listedKeys, optionProblem } from './module/bound-route.js';
import type { CachedRequest, HttpCacheOptions } from './module/options.js';
import type { ResponseControl } from './response-control.js';
import type { Fields } from './rules/fields.js';
import {
  explicitLifetimeMs,
  initialAgeMs,
  lifetimeMs,
  type ReceivedResponse,
  staleAllowance,
} from './rules/freshness.js';
import { formatHttpDate } from './rules/http-date.js';
import { cacheGroups, tagFieldValue } from './rules/invalidation.js';
import { mustAlwaysValidate, refusalToStore, type StorageRefusal } from './rules/storability.js';
import { fieldsToStore } from './rules/stored-fields.js';
import { type EffectiveControl, effectiveControl } from './rules/targeted-control.js';

/** Fields that belong to one answer, not to the response that is stored. */
const FIELDS_OF_AN_ANSWER = ['cache-status', 'age', 'content-length'] as const;

export type Times = Pick<StoredResponse, 'initialAgeMs' | 'freshMs' | 'whileRevalidateMs' | 'ifErrorMs'>;

/** Decides what is stored of the response of a handler: whether, for how long, under which tags, and which fields. */
export class ResponsePolicy {
  private readonly startedAtMs = Date.now();
  private readonly isByTheLetter: boolean;
  private computedTags: readonly string[] = [];
  /** What is wrong with the function of the options for which the response is refused. */
  optionProblem = '';

  constructor(
    private readonly options: HttpCacheOptions,
    private readonly route: BoundRoute,
    private readonly exchange: Exchange,
    private readonly clientFields: Fields,
    private readonly control: ResponseControl,
  ) {
    this.isByTheLetter = options.rules === 'rfc9111';
  }

  /** The reason for which the response is not stored; `undefined` when it is. */
  refusalOf(head: ResponseHead): StorageRefusal | 'cache-if' | 'option-error' | 'tag' | 'field-removed' | undefined {
    const { route, isByTheLetter } = this;
    const received = this.received(head);
    const { control, usesExpires } = received;
    const isHeuristic = isByTheLetter && lifetimeMs(received, { usesExpires, isHeuristic: true }) > 0;
    const refusal = refusalToStore(
      { method: 'GET', requestFields: this.clientFields, status: head.status, responseFields: head.fields, control },
      {
        profile: isByTheLetter ? 'rfc9111' : 'careful',
        statuses: route.statuses,
        isKeptApart: typeof route.audience === 'function' || (route.audience === 'everyone' && !isByTheLetter),
        isReusable:
          isHeuristic || this.control.ttlMs !== undefined || explicitLifetimeMs(received, usesExpires) !== undefined,
      },
    );
    if (refusal === undefined && this.control.isForbidden) {
      return 'no-store';
    }
    if (refusal === undefined && head.isReduced === true) {
      return 'field-removed';
    }
    return refusal ?? this.refusalOfOptions(head);
  }

  /** Calls the functions of the options. One that throws must not fail the request: the response is not stored. */
  private refusalOfOptions({ status, fields }: ResponseHead): 'cache-if' | 'option-error' | 'tag' | undefined {
    const { tags, cacheIf } = this.route;
    const response = { status, headers: fields };
    try {
      if (cacheIf?.(response) === false) {
        return 'cache-if';
      }
      this.computedTags = typeof tags === 'function' ? tags(this.exchange.request as CachedRequest, response) : [];
      return [...this.computedTags, ...this.control.addedTags].every(isUsableTag) ? undefined : 'tag';
    } catch (error) {
      this.optionProblem = optionProblem(error);
      return 'option-error';
    }
  }

  timesOf(head: ResponseHead): Times {
    return this.timesIn(this.received(head));
  }

  private timesIn(received: ReceivedResponse & EffectiveControl): Times {
    const { route, isByTheLetter } = this;
    const { status, control, usesExpires } = received;
    if (mustAlwaysValidate(control, isByTheLetter ? 'rfc9111' : 'careful')) {
      return { initialAgeMs: initialAgeMs(received), freshMs: 0, whileRevalidateMs: 0, ifErrorMs: 0 };
    }
    const { whileRevalidateMs, ifErrorMs } = route;
    const allowance = staleAllowance(control, { whileRevalidateMs, ifErrorMs });
    const ownTtlMs = this.control.ttlMs ?? (route.statuses.has(status) ? this.ttlOf(status) : 'response');
    if (ownTtlMs !== 'response') {
      return { initialAgeMs: 0, freshMs: ownTtlMs, ...allowance };
    }
    const ageMs = initialAgeMs(received);
    const wholeMs = lifetimeMs(received, { usesExpires, isHeuristic: isByTheLetter });
    return { initialAgeMs: ageMs, freshMs: Math.max(0, wholeMs - ageMs), ...allowance };
  }

  private ttlOf(status: number): number | 'response' {
    return this.route.statuses.get(status) ?? this.route.ttlMs;
  }

  toStored(head: ResponseHead, body: Buffer, selection: string | undefined): StoredResponse {
    const received = this.received(head);
    const { control, receivedAtMs } = received;
    const unwanted = [...control.fieldNames('no-cache'), ...control.fieldNames('private'), ...FIELDS_OF_AN_ANSWER];
    const fields = { date: formatHttpDate(receivedAtMs), ...fieldsToStore(head.fields, unwanted) };
    const tags = this.tagsOf(head);
    const response = { id: newId(), status: head.status, fields, body, ...this.timesIn(received), selection };
    return tags.length === 0 ? response : { ...response, tags };
  }

  /**
   * The tags that are known before the handler runs.
   * @param key the key of the URL
   */
  knownTags(key: string): string[] {
    const { exchange, route } = this;
    const url = urlOf(exchange.host, exchange.url) ?? '';
    return [
      ...(typeof route.tags === 'function' ? [] : withParams(route.tags, exchange.params).map(ownTag)),
      ...(listedKeys(route, canonicalParts(url)).includes(key) ? [] : [urlTag(url)]),
      routeTag(route.name),
    ];
  }

  /** The tags that the response adds. */
  tagsOf({ fields }: ResponseHead): string[] {
    return [...this.computedTags, ...cacheGroups(fields), ...this.control.addedTags];
  }

  /**
   * What caches between the application and its clients are told: the tags, and which parameters of the query count. A
   * `No-Vary-Search` of the handler has priority.
   */
  emittedFields(head: ResponseHead): Record<string, string> {
    const { emitTags = false } = this.options;
    const { tags, query } = this.route;
    const known = typeof tags === 'function' ? [] : withParams(tags, this.exchange.params);
    const tagsText = emitTags === false ? undefined : tagFieldValue(emitTags, [...known, ...this.tagsOf(head)]);
    const search = head.fields['no-vary-search'] === undefined ? noVarySearch(query) : undefined;
    return {
      ...(emitTags !== false && tagsText !== undefined && { [emitTags]: tagsText }),
      ...(search !== undefined && { 'no-vary-search': search }),
    };
  }

  private received({ status, fields }: ResponseHead): ReceivedResponse & EffectiveControl {
    const effective = effectiveControl(fields, this.options.targets);
    return { status, fields, ...effective, requestedAtMs: this.startedAtMs, receivedAtMs: Date.now() };
  }
}

/** The TTL of an entry: at least a millisecond, and at most what the cache accepts. HTTP knows longer ones. */
export function coreTtl(freshMs: number): Duration {
  return Math.ceil(Math.min(Math.max(1, freshMs), MAX_DURATION_MS)) / 1000;
}

/** Whether a text can be a tag: it is not empty, and well-formed UTF-16. */
export function isUsableTag(tag: unknown): boolean {
  return typeof tag === 'string' && tag !== '' && !/\p{Surrogate}/u.test(tag);
}

/*
 * The tags of the cache itself have a blank behind their first word. A tag of the application that begins like one of them
 * gets a blank before it, so that no parameter of a route can name one.
 */

/** The tag of those entries of one absolute URL whose keys a purge can't list. */
export function urlTag(url: string): string {
  const { host, path, query } = canonicalParts(url);
  return `url ${host} ${path} ${splitUrl(`?${query}`, 'all').query}`;
}

/** The tag of all entries of one route. */
export function routeTag(route: string): string {
  return `route ${route}`;
}

/** The tag that entries carry for one of the application. */
export function ownTag(tag: string): string {
  return /^ *(?:url|route) /.test(tag) ? ` ${tag}` : tag;
}
