import { toMs } from '../core/index.js';
import { shortText } from '../values/index.js';
import { ageSeconds, type StoredResponse } from './entry/stored-response.js';
import type { Answer, Exchange, ReadyAnswer } from './exchange/exchange.js';
import type { BoundRoute } from './module/bound-route.js';
import type { ClientRule } from './module/options.js';
import { contentRange, requestedRange } from './rules/byte-range.js';
import { appended } from './rules/cache-status.js';
import { type Fields, fieldText, membersOf } from './rules/fields.js';
import { mergeVary } from './rules/selecting-headers.js';
import { isNotModified, isOfBody, isRangeCurrent, notModifiedFields } from './rules/validators.js';

/**
 * The answer to a request from a stored response (RFC 9111 section 4): 304 when the client has it already, a part of it
 * when a range is asked for, else all of it.
 * @param residentMs how long it has been stored, in milliseconds
 * @param client the fields of the request as the client sent them; while the handler runs, the request lacks some
 * @param before the `Cache-Control` that middleware has set for this client
 */
export function answerFrom(
  stored: StoredResponse,
  residentMs: number,
  route: BoundRoute,
  client: Fields,
  before: Fields[string],
): Answer {
  const nowMs = Date.now();
  const age = ageSeconds(stored, residentMs);
  const fields = outgoingFields(stored.fields, route, age, before);
  fields['age'] = `${age}`;
  if (stored.status === 200 && isNotModified(client, fields, nowMs, route.isByTheLetter)) {
    return { status: 304, fields: notModifiedFields(fields) };
  }
  const range =
    stored.status === 200 && isRangeCurrent(client, fields, nowMs)
      ? requestedRange(client, stored.body.length)
      : undefined;
  if (range === undefined) {
    return { status: stored.status, fields, body: wholeBody(stored, fields) };
  }
  const part = { 'content-range': contentRange(range, stored.body.length) };
  return range === 'unsatisfiable'
    ? { status: 416, fields: { ...notModifiedFields(fields), ...part } }
    : { status: 206, fields: { ...fields, ...part }, body: stored.body.subarray(range.first, range.last + 1) };
}

/** The usual answers from a stored response, with all fields but `Age` and `Cache-Status`. */
export interface ReadyResponse {
  readonly stored: StoredResponse;
  /** The age in seconds for which they hold; `undefined`: for each. */
  readonly age: number | undefined;
  readonly etag: string | undefined;
  /** `undefined`: it has to be made for each request by {@link answerFrom}. */
  readonly whole: ReadyAnswer | undefined;
  readonly notModified: ReadyAnswer | undefined;
}

export function readyResponse(stored: StoredResponse, route: BoundRoute, age: number): ReadyResponse {
  const { status } = stored;
  const fields = outgoingFields(stored.fields, route, age);
  const { clients } = route;
  const isLasting = stored.fields['cache-control'] !== undefined || clients === 'revalidate' || clients === 'no-store';
  const isSimple = fields['set-cookie'] === undefined; // middleware may have set one, which is replaced
  const lines = isSimple ? linesOf(fields) : [];
  return {
    stored,
    age: isLasting ? undefined : age,
    etag: fieldText(fields, 'etag'),
    whole: isSimple ? { status, lines, body: wholeBody(stored, fields) } : undefined,
    notModified:
      isSimple && status === 200 ? { status: 304, lines: lines.filter(([name]) => !isOfBody(name)) } : undefined,
  };
}

/** Whether Fastify leaves the media type of a text as it is: it adds a charset to JSON, and a type where there is none. */
function isComplete(type: string | undefined): boolean {
  return type !== undefined && (!type.includes('json') || type.includes('charset'));
}

function linesOf(fields: Fields): ReadyAnswer['lines'] {
  return Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, typeof value === 'object' ? value.map(inOnePiece) : inOnePiece(value)] as const],
  );
}

/** The text in one block of memory: V8 keeps a joined text in pieces, and would put them together in every answer. */
function inOnePiece(value: string | number): string {
  return Buffer.from(`${value}`, 'latin1').toString('latin1');
}

function wholeBody({ status, body }: StoredResponse, fields: Fields): Answer['body'] {
  if (status === 204 || status === 304) {
    return undefined;
  }
  return isComplete(fieldText(fields, 'content-type')) ? (shortText(body) ?? body) : body;
}

/**
 * The fields that a response of this route is sent with, from the cache or from its handler.
 * @param before the `Cache-Control` that middleware has set: it stays, unless the handler sets one
 */
export function outgoingFields(
  fields: Fields,
  route: BoundRoute,
  age: number,
  before?: Fields[string],
): Record<string, Fields[string]> {
  const vary = mergeVary(route.varyNames, membersOf(fields['vary']));
  const outgoing = copyOf(fields);
  outgoing['cache-control'] ??= before ?? clientControl(route, age);
  outgoing['accept-ranges'] ??= 'bytes';
  if (vary !== '') {
    outgoing['vary'] = vary;
  }
  return outgoing;
}

/** A copy to which fields will be added. To an object made by a spread, V8 takes over a microsecond to add each. */
function copyOf(fields: Fields): Record<string, Fields[string]> {
  return Object.assign({}, fields);
}

/** The `Cache-Control` for clients, where the handler set none. */
function clientControl({ clients, audience }: BoundRoute, age: number): string {
  const text = controlOf(clients, age);
  return audience === 'anonymous' || text === 'no-store' ? text : `private, ${text}`;
}

/** Lifetimes are raised by the age: a client subtracts it, so it gets the promised rest. */
function controlOf(clients: ClientRule, age: number): string {
  if (clients === 'revalidate') {
    return 'no-cache';
  }
  if (clients === 'no-store') {
    return clients;
  }
  if (typeof clients !== 'object') {
    return `max-age=${Math.floor(toMs(clients) / 1000) + age}`;
  }
  const { browser, cdn, immutable } = clients;
  const seconds = (name: string, time: typeof browser) =>
    time === undefined ? [] : [`${name}=${Math.floor(toMs(time) / 1000) + age}`];
  return [
    ...seconds('max-age', browser ?? 0),
    ...seconds('s-maxage', cdn),
    ...(immutable === true ? ['immutable'] : []),
  ].join(', ');
}

/** Sends an answer; `Vary` keeps what middleware set, and `Cache-Status` is appended. */
export function sendAnswer(
  exchange: Exchange,
  { status, fields, body }: Answer,
  cacheStatus: string | undefined,
): void {
  const vary = mergeVary(membersOf(exchange.field('vary')), membersOf(fields['vary']));
  const sent = copyOf(fields);
  if (vary !== '') {
    sent['vary'] = vary;
  }
  if (cacheStatus !== undefined) {
    sent['cache-status'] = appended(exchange.field('cache-status'), cacheStatus);
  }
  exchange.send({ status, fields: sent, body });
}
