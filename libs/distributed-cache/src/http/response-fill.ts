import type { AsyncCache, LoaderContext } from '../core/index.js';
import { answerFrom, outgoingFields } from './answers.js';
import { type AudienceReads, type ClientRead, ClientReads, type ReadRules } from './credentials.js';
import {
  entryOf,
  newId,
  renewed,
  type StoredEntry,
  type StoredResponse,
  type VariantIndex,
} from './entry/stored-response.js';
import type { Answer, Exchange, ResponseHead, ResponseListener } from './exchange/exchange.js';
import { HandlerRequest } from './handler-request.js';
import type { BoundRoute } from './module/bound-route.js';
import type { HttpCacheOptions } from './module/options.js';
import { controlOf, type ResponseControl } from './response-control.js';
import { coreTtl, isUsableTag, ownTag, ResponsePolicy } from './response-policy.js';
import { appended, type CacheStatus, type ForwardReason } from './rules/cache-status.js';
import { type Fields, fieldText, joined, membersOf } from './rules/fields.js';
import { formatHttpDate } from './rules/http-date.js';
import { mergeVary, selectionKey, varyNames } from './rules/selecting-headers.js';
import { freshenedFields } from './rules/stored-fields.js';
import {
  CONDITION_FIELDS,
  entityTagOf,
  isLengthAndDigest,
  notModifiedFields,
  validationFields,
} from './rules/validators.js';

/** Where the response of a request is stored. */
export interface Place {
  readonly key: string;
  /** The key of the URL, which holds the index when it has variants; else the same as `key`. */
  readonly indexKey: string;
  /** The selecting headers, when the URL has variants. */
  readonly selection?: string;
  readonly index?: VariantIndex;
  /** What the audience function has read of the request. */
  readonly audienceReads?: AudienceReads | undefined;
  /** The response that is to be replaced. */
  readonly stale?: { readonly stored: StoredResponse; readonly staleMs: number };
  /** Whether a stale response that the load finds, and no lookup has found, is looked up: once. */
  readonly mayLookAgain?: boolean;
  /** Called when a refresh in the background has ended. */
  readonly done?: () => void;
}

type Outcome =
  /** This request runs the handler, and its response is followed. */
  | { readonly kind: 'leads' }
  /** Another request ran it: `null` when its response may not be stored. */
  | { readonly kind: 'collapsed'; readonly entry: StoredEntry | null }
  | { readonly kind: 'failed' };

/** The cache that a response is stored in. */
export interface FillHost {
  readonly cache: AsyncCache<StoredEntry | null>;
  readonly options: HttpCacheOptions;
  /** Which reads of a route count, of its handler and of its audience function. */
  readRules(route: BoundRoute): ReadRules;
  announce(exchange: Exchange, status: CacheStatus): void;
  statusMember(status: CacheStatus): string | undefined;
  readonly uncacheable: { add(key: string): void };
  /** Says once per route why its responses are not stored, and what to write. */
  report(route: BoundRoute, problem: string): void;
  storeVariant(
    key: string,
    index: VariantIndex,
    entry: StoredResponse,
    options: { readonly tags: readonly string[]; readonly keptStaleMs: number },
  ): void;
}

/** The outcome of a load that has found a stale response, for all that wait for it: each looks it up. */
const LOOK_AGAIN: VariantIndex = { kind: 'variants', id: '', names: [] };

/** How long a request waits for the handler run of another one; then it runs the handler by itself. In milliseconds. */
const MAX_WAIT_MS = 10_000;

/** How long after its client has left a handler may still answer, in milliseconds. */
const ABANDONED_MS = 10_000;

/** The same for a refresh in the background, from its begin on: it has no client. */
const REFRESH_MS = 60_000;

/**
 * One run of a handler whose response is to be stored. Concurrent requests for one key share it, in this process and in
 * the cluster: they wait, and are answered from what it stores. As soon as its head says that it may not be stored, they
 * are released, and each runs the handler by itself.
 */
export class ResponseFill implements ResponseListener {
  private readonly clientFields: Exchange['requestFields'];
  /** The `Cache-Control` that middleware has set. */
  private readonly before: Fields[string];
  private readonly control: ResponseControl;
  private readonly policy: ResponsePolicy;
  private request: HandlerRequest | undefined;
  private reads: ClientReads | undefined;
  private context: LoaderContext | undefined;
  private settle: (entry: StoredEntry | null) => void = () => {};
  private head: ResponseHead | undefined;
  private isSettled = false;

  constructor(
    private readonly responses: FillHost,
    private readonly exchange: Exchange,
    private readonly route: BoundRoute,
    private readonly place: Place,
    private readonly forward: ForwardReason,
  ) {
    this.clientFields = { ...exchange.requestFields };
    this.before = exchange.field('cache-control');
    this.control = controlOf(exchange.raw.request);
    this.policy = new ResponsePolicy(responses.options, route, exchange, this.clientFields, this.control);
  }

  begin(): Promise<Outcome> {
    const { cache } = this.responses;
    const { key, done } = this.place;
    return new Promise((resolve) => {
      let role: 'waits' | 'leads' | 'gone' = 'waits';
      let limit = setTimeout(() => {
        role = 'gone';
        // The handler of that other request may hang: those that come now must not wait for it one after the other.
        this.responses.uncacheable.add(key);
        resolve({ kind: 'failed' });
      }, MAX_WAIT_MS).unref();
      const load = (context: LoaderContext): Promise<StoredEntry | null> => {
        clearTimeout(limit);
        this.context = context;
        if (role === 'gone') {
          context.skip();
          return Promise.resolve(null);
        }
        const { mayLookAgain, stale } = this.place;
        if (mayLookAgain === true && stale === undefined && context.stale !== undefined) {
          context.skip(); // a stale response may answer, or be validated
          return Promise.resolve(LOOK_AGAIN);
        }
        role = 'leads';
        const loaded = new Promise<StoredEntry | null>((settle) => {
          this.settle = settle;
        });
        this.followHandler();
        if (done !== undefined) {
          limit = setTimeout(() => this.end(null), REFRESH_MS).unref();
        }
        resolve({ kind: 'leads' });
        return loaded;
      };
      cache
        .getOrSet(key, load, { grace: this.route.keptStaleMs / 1000, tags: this.policy.knownTags(this.place.indexKey) })
        .then(
          (entry) => resolve(role === 'leads' ? { kind: 'leads' } : { kind: 'collapsed', entry }),
          () => resolve({ kind: 'failed' }),
        )
        .finally(() => {
          clearTimeout(limit);
          done?.();
        });
    });
  }

  private followHandler(): void {
    const { exchange, route, place, responses } = this;
    const { request, response } = exchange.raw;
    const validators = place.stale === undefined ? {} : validationFields(place.stale.stored.fields);
    this.request = new HandlerRequest(exchange, this.clientFields, route.query, validators);
    if (responses.options.rules !== 'rfc9111') {
      const rules = { ...responses.readRules(route), audience: place.audienceReads };
      this.reads = new ClientReads(exchange.request, request, response, rules);
    }
    const set = (name: string, value: string): void => exchange.setField(name, value);
    this.control.attach(set, this.clientFields, place.stale?.stored.fields);
    exchange.follow(this, route.maxBodyBytes);
    response.once('close', () => {
      if (this.head === undefined) {
        setTimeout(() => this.giveUp(), ABANDONED_MS).unref();
      }
    });
  }

  private giveUp(): void {
    if (this.head === undefined) {
      this.end(null);
    }
  }

  onHead(head: ResponseHead, body: Buffer | undefined): Answer | undefined {
    this.head = head;
    const { stale } = this.place;
    const firstRead = this.firstRead(head);
    this.request?.restoreConditions();
    const { current } = this.control;
    if (stale !== undefined && (head.status === 304 || current === 'stored')) {
      return this.freshen(head, stale.stored);
    }
    if (current === 'client') {
      this.end(null);
      return this.withStatus({ status: 304, fields: notModifiedFields(head.fields) }, { forwardStatus: 304 });
    }
    if (head.status >= 500 && stale !== undefined && stale.staleMs < stale.stored.ifErrorMs) {
      this.end(null);
      return this.answerWith(stale.stored, stale.staleMs + stale.stored.freshMs, { forwardStatus: head.status });
    }
    const refusal = firstRead === undefined ? this.policy.refusalOf(head) : 'client-read';
    if (refusal !== undefined) {
      this.responses.announce(this.exchange, { forward: this.forward, detail: refusal });
      if (firstRead?.isCertain !== false) {
        this.responses.uncacheable.add(this.place.key);
      }
      if (firstRead !== undefined) {
        this.reportRead(firstRead);
      } else if (refusal === 'option-error') {
        this.responses.report(this.route, this.policy.optionProblem);
      } else if (refusal === 'tag') {
        this.responses.report(this.route, 'one of its tags is empty, no text, or ill-formed UTF-16');
      }
      this.end(null);
      return undefined;
    }
    this.prepareHead(head, body);
    this.reads?.ignoreMiddleware();
    return body === undefined ? undefined : this.storeWhole(this.head, body);
  }

  onEnd(body: Buffer | undefined): void {
    const { head } = this;
    if (this.isSettled) {
      return;
    }
    // The handler of a stream still runs after the head.
    const firstRead = head === undefined ? undefined : this.firstRead(head);
    if (firstRead !== undefined) {
      this.reportRead(firstRead);
    }
    this.end(head === undefined || body === undefined || firstRead !== undefined ? null : this.toStored(head, body));
  }

  /** What the handler has read of its client and the key does not have. */
  private firstRead({ fields }: ResponseHead): ClientRead | undefined {
    const names = varyNames(fields);
    this.route.audienceWatch.learn([...(this.reads?.names ?? []), ...(this.place.audienceReads?.names ?? [])]);
    return this.reads?.first(names === '*' ? [] : names);
  }

  private reportRead({ text, isCertain }: ClientRead): void {
    if (!isCertain) {
      return;
    }
    this.responses.report(
      this.route,
      `its handler read ${text}, which may differ between the clients that would share the response. Name what it depends on by audience or vary of @CachedResponse`,
    );
  }

  /** Sets the fields that a response of this route has whether it comes from the cache or not. */
  private prepareHead(head: ResponseHead, body: Buffer | undefined): void {
    const { exchange, route } = this;
    const hasOwnTag = head.fields['etag'] !== undefined && !isLengthAndDigest(fieldText(head.fields, 'etag'), body);
    const etag = hasOwnTag || body === undefined || head.status !== 200 ? head.fields['etag'] : entityTagOf(body);
    const emitted = this.policy.emittedFields(head);
    const fields = { ...head.fields, ...(etag !== undefined && { etag }), ...emitted, ...this.varyOnCoding(head) };
    const outgoing = outgoingFields(fields, route, 0, this.before);
    for (const name of ['etag', 'cache-control', 'vary', 'accept-ranges', ...Object.keys(emitted)]) {
      const value = outgoing[name];
      if (value !== undefined && value !== head.fields[name]) {
        const before = membersOf(exchange.field('vary'));
        exchange.setField(name, name === 'vary' ? mergeVary(before, membersOf(value)) : joined(value));
      }
    }
    this.head = { status: head.status, fields };
    this.responses.announce(exchange, { forward: this.forward, isStored: true });
  }

  /** A body that its handler has coded is only for the clients that accept the coding, whether or not `Vary` says so. */
  private varyOnCoding({ fields }: ResponseHead): { readonly vary?: string } {
    return isCoded(fields) ? { vary: mergeVary(membersOf(fields['vary']), ['accept-encoding']) } : {};
  }

  /** Stores a response that is complete before its first byte is sent; 304 is sent to a client that has it already. */
  private storeWhole(head: ResponseHead, body: Buffer): Answer | undefined {
    if (body.length > this.route.maxBodyBytes) {
      this.end(null);
      return undefined;
    }
    const entry = this.toStored(head, body);
    this.end(entry);
    if (!CONDITION_FIELDS.some((name) => name in this.clientFields)) {
      return undefined;
    }
    const answer = answerFrom(entry, 0, this.route, this.clientFields, this.before);
    return answer.status === head.status
      ? undefined
      : this.withStatus(answer, { forwardStatus: head.status, isStored: true });
  }

  private freshen(head: ResponseHead, stored: StoredResponse): Answer {
    const { 'cache-status': _ofThisAnswer, ...answered } = head.fields;
    const fields = { ...freshenedFields(stored.fields, answered), date: formatHttpDate(Date.now()) };
    const times = this.policy.timesOf({ status: stored.status, fields });
    const entry = renewed(stored, { fields, ...times });
    this.context?.setTtl(coreTtl(times.freshMs));
    this.context?.addTags(...[...(stored.tags ?? []), ...this.policy.tagsOf(head).filter(isUsableTag)].map(ownTag));
    this.end(entry);
    return this.answerWith(entry, 0, { forwardStatus: 304, isStored: true });
  }

  private toStored(head: ResponseHead, body: Buffer): StoredResponse {
    const { policy, context } = this;
    const stored = policy.toStored(head, body, this.place.selection);
    context?.setTtl(coreTtl(stored.freshMs));
    context?.addTags(...(stored.tags ?? []).map(ownTag));
    return stored;
  }

  private answerWith(entry: StoredResponse, residentMs: number, status: CacheStatus): Answer {
    return this.withStatus(answerFrom(entry, residentMs, this.route, this.clientFields, this.before), status);
  }

  /** Adds the member of this cache behind those that the handler has. */
  private withStatus(answer: Answer, status: CacheStatus): Answer {
    const member = this.responses.statusMember({ forward: this.forward, ...status });
    const before = this.head?.fields['cache-status'];
    return member === undefined
      ? answer
      : { ...answer, fields: { ...answer.fields, 'cache-status': appended(before, member) } };
  }

  private end(entry: StoredResponse | null): void {
    this.reads?.stop();
    this.reads = undefined;
    this.request?.restore();
    const { settle, context, place } = this;
    if (this.isSettled) {
      return;
    }
    this.isSettled = true;
    if (entry === null) {
      context?.skip();
      settle(null);
      return;
    }
    const names = varyNames(entry.fields);
    const { varyNames: known } = this.route;
    const isOpen = (name: string): boolean => name === 'accept-encoding' && !isCoded(entry.fields);
    const unknown = names === '*' ? [] : names.filter((name) => !known.includes(name) && !isOpen(name));
    const isIndexed = place.index !== undefined && unknown.every((name) => place.index?.names.includes(name));
    if (unknown.length === 0 || isIndexed) {
      settle(entryOf(entry));
    } else if (place.index === undefined) {
      settle(this.indexAndStore(entry, unknown));
    } else {
      // The handler varies on more than it did: the URL begins a new index.
      void this.responses.cache.delete(place.indexKey);
      context?.skip();
      settle(null);
    }
  }

  /** Stores the response as a variant, and gives the index that the URL gets in its place. */
  private indexAndStore(entry: StoredResponse, names: readonly string[]): VariantIndex {
    const index: VariantIndex = { kind: 'variants', id: newId(), names };
    const selection = selectionKey(names, this.clientFields);
    this.responses.storeVariant(
      this.place.key,
      index,
      { ...entry, selection },
      {
        tags: this.policy.knownTags(this.place.indexKey),
        keptStaleMs: this.route.keptStaleMs,
      },
    );
    return index;
  }
}

function isCoded(fields: Fields): boolean {
  const coding = fieldText(fields, 'content-encoding');
  return coding !== undefined && coding.trim().toLowerCase() !== 'identity';
}
