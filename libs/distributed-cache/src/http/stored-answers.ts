import type { AsyncCache } from '../core/index.js';
import { BytesValue } from '../values/index.js';
import { answerFrom, readyResponse, type ReadyResponse, sendAnswer } from './answers.js';
import { codeBody, codedKey, inCoding, isWorthCoding, withMember } from './entry/coded-body.js';
import {
  ageSeconds,
  codedBodyIn,
  responseIn,
  type ResponseView,
  type StoredEntry,
  type StoredResponse,
  viewIn,
} from './entry/stored-response.js';
import type { Exchange } from './exchange/exchange.js';
import type { BoundRoute } from './module/bound-route.js';
import { coreTtl } from './response-policy.js';
import type { CacheStatus } from './rules/cache-status.js';
import type { ContentCoding } from './rules/content-coding.js';
import type { Fields } from './rules/fields.js';

type StatusMember = (status: CacheStatus) => string | undefined;

/** Sends stored responses, in the content coding that the client prefers. */
export class StoredAnswers {
  /** The `Cache-Status` of a hit, without its TTL; `undefined`: none is sent. */
  private readonly statusOfHit: string | undefined;

  constructor(
    private readonly cache: AsyncCache<StoredEntry | null>,
    private readonly statusMember: StatusMember,
    private readonly rules: {
      /** Whether the directives of requests count. */
      readonly isHonouringRequests: boolean;
      /** Whether bodies are kept in other codings: they are sent from memory alone. */
      readonly hasMemory: boolean;
    },
  ) {
    this.statusOfHit = statusMember({ ttlSeconds: 0 })?.slice(0, -1);
  }

  /**
   * Answers a request from memory, at once, when a fresh response is there and the request demands nothing else: the
   * path of most hits. The header lines of the response are prepared.
   * @returns whether it was answered
   */
  sendFromMemory(exchange: Exchange, route: BoundRoute, key: string): boolean {
    const { requestFields } = exchange;
    if (
      this.rules.isHonouringRequests &&
      (requestFields['cache-control'] !== undefined || requestFields['pragma'] !== undefined)
    ) {
      return false;
    }
    const found = this.cache.lookupLocal(key, isFreshResponse);
    const view = viewIn(found?.value);
    if (found === undefined || view === undefined) {
      return false;
    }
    const { ageMs, ttlMs } = found;
    const coded = this.codedBody(requestFields, route, key, view);
    const ready = readyOf(view, coded, route, ageSeconds(view.response, ageMs));
    const status = this.statusOfHit === undefined ? undefined : `${this.statusOfHit}${Math.floor(ttlMs / 1000)}`;
    const tag = requestFields['if-none-match'];
    const isKnown = tag !== undefined && (tag === ready.etag || tag === '*');
    const answer = tag === undefined ? ready.whole : isKnown ? ready.notModified : undefined;
    if (answer !== undefined && isPlain(exchange)) {
      exchange.sendReady(answer, `${ageSeconds(view.response, ageMs)}`, status);
    } else {
      const before = exchange.field('cache-control');
      sendAnswer(exchange, answerFrom(ready.stored, ageMs, route, requestFields, before), status);
    }
    return true;
  }

  /** @param ageMs how long the response has been stored, in milliseconds */
  send(
    exchange: Exchange,
    route: BoundRoute,
    key: string,
    { stored, ageMs }: { readonly stored: StoredResponse; readonly ageMs: number },
    status: CacheStatus,
  ): void {
    const { requestFields } = exchange;
    const view: ResponseView = { response: stored };
    const sent = inPreferredCoding(view, this.codedBody(requestFields, route, key, view));
    const answer = answerFrom(sent, ageMs, route, requestFields, exchange.field('cache-control'));
    sendAnswer(exchange, answer, this.statusMember(status));
  }

  /**
   * The body of a response in the coding that the client prefers, from memory. The first request for a coding has it made,
   * or read from Redis, in the background, and gets the body as it is.
   */
  private codedBody(requestFields: Fields, route: BoundRoute, key: string, view: ResponseView): CodedBody | undefined {
    const { response } = view;
    view.isCodable ??= this.rules.hasMemory && route.encodings.length > 0 && isWorthCoding(response);
    const coding = view.isCodable && requestFields['range'] === undefined ? route.codingFor(requestFields) : 'identity';
    if (coding === 'identity') {
      return undefined;
    }
    const place = codedKey(key, response, coding);
    const entry = this.cache.lookupLocal(place, isCodedEntry)?.value as BytesValue | undefined;
    if (entry === undefined) {
      this.cache.getOrSet(place, () => codeBody(response, coding), { ttl: coreTtl(response.freshMs) }).catch(() => {});
    }
    return entry === undefined || codedBodyIn(entry) === undefined ? undefined : { coding, entry };
  }
}

/** A body in another coding; the `view` of its entry is the response that is ready to be sent with it. */
interface CodedBody {
  readonly coding: ContentCoding;
  readonly entry: BytesValue;
}

/** The response as it is sent: in the coding, or as it is where another client would get a coding. */
function inPreferredCoding({ response, isCodable }: ResponseView, coded: CodedBody | undefined): StoredResponse {
  if (isCodable !== true) {
    return response;
  }
  const identity = withMember(response, 'vary', 'accept-encoding');
  return coded === undefined ? identity : inCoding(identity, coded.coding, coded.entry.body);
}

/** The prepared answers of a response, made at its first hit, and again when they depend on its age. */
function readyOf(view: ResponseView, coded: CodedBody | undefined, route: BoundRoute, age: number): ReadyResponse {
  const holder: { view?: unknown } = coded?.entry ?? view;
  const before = holder.view as ReadyResponse | undefined;
  if (before !== undefined && (before.age === undefined || before.age === age)) {
    return before;
  }
  const ready = readyResponse(inPreferredCoding(view, coded), route, age);
  holder.view = ready;
  return ready;
}

function isFreshResponse(entry: StoredEntry | null, ageMs: number): boolean {
  const response = responseIn(entry);
  return response !== undefined && response.selection === undefined && ageMs < response.freshMs;
}

function isCodedEntry(entry: StoredEntry | null): boolean {
  return entry instanceof BytesValue && typeof entry.head['coded'] === 'boolean';
}

/** Whether the prepared fields can be sent as they are: no part is asked for, and nothing is to be merged. */
function isPlain(exchange: Exchange): boolean {
  const { requestFields } = exchange;
  return (
    requestFields['range'] === undefined &&
    requestFields['if-modified-since'] === undefined &&
    exchange.field('vary') === undefined &&
    exchange.field('cache-control') === undefined &&
    exchange.field('cache-status') === undefined
  );
}
