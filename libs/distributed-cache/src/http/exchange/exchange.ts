import type { IncomingMessage, ServerResponse } from 'node:http';
import { hostOf } from '../entry/response-key.js';
import { type Fields, joined, membersOf } from '../rules/fields.js';

/** A response that the cache sends. Without a body it has none, as a 304. */
export interface Answer {
  readonly status: number;
  readonly fields: Fields;
  /** A text is ASCII. */
  readonly body?: Buffer | string | undefined;
}

/** A response of the cache whose fields need no further work: no `Vary` and no `Cache-Status` was set before. */
export interface ReadyAnswer {
  readonly status: number;
  readonly lines: readonly (readonly [name: string, value: string | readonly string[]])[];
  readonly body?: Answer['body'];
}

/** The head of the handler's response: its status, and the fields that the handler set, without those set before it. */
export interface ResponseHead {
  readonly status: number;
  readonly fields: Fields;
  /** Whether the handler removed a field that was set before it: a stored response can't do that. */
  readonly isReduced?: boolean;
}

/** Receives the response of a handler while it is sent. */
export interface ResponseListener {
  /**
   * Called once, before the first byte is sent; header fields can still be set.
   * @param body the whole body, when it is known already; `undefined` when it comes in pieces
   * @returns a response to send instead of the handler's
   */
  onHead(head: ResponseHead, body: Buffer | undefined): Answer | undefined;
  /**
   * Called once, at the end.
   * @param body `undefined` when it is incomplete, or larger than the limit
   */
  onEnd(body: Buffer | undefined): void;
}

/** One request and its response, in the terms of the cache; the framework behind it does not matter. */
export abstract class Exchange {
  /** In upper case. */
  readonly method: string;
  /** Path and query, as received. */
  readonly url: string;
  /** Path and query as middleware has rewritten them; `undefined`: none has. */
  readonly rewrittenUrl: string | undefined;
  /** The host that the request names, as it is written; empty without one. */
  readonly host: string;
  readonly requestFields: Fields;

  constructor(
    /** The request object that guards and handlers see. */
    readonly request: object,
    readonly raw: RawExchange,
    /** The parameters of the route. */
    readonly params: Readonly<Record<string, unknown>> = {},
  ) {
    const { method = '', url = '', headers, originalUrl = url }: RewrittenRequest = raw.request;
    this.method = method;
    this.url = originalUrl;
    this.rewrittenUrl = originalUrl === url ? undefined : url;
    this.host = hostOf(headers);
    this.requestFields = headers;
  }

  /** Sets a field of the response, which the cache or the handler sends. */
  abstract setField(name: string, value: string | readonly string[]): void;
  /** A field of the response as set so far. */
  abstract field(name: string): Fields[string];
  /** Ends the exchange with a response of the cache. What was set before stays, unless the response has the field. */
  abstract send(answer: Answer): void;
  /** Ends the exchange as {@link send}, with fields that differ from answer to answer in addition. */
  abstract sendReady(answer: ReadyAnswer, age: string, cacheStatus: string | undefined): void;
  /** Follows the response of the handler. */
  abstract follow(listener: ResponseListener, maxBodyBytes: number): void;
}

/** Express, Fastify and middleware keep in `originalUrl` what they rewrite. */
interface RewrittenRequest extends IncomingMessage {
  readonly originalUrl?: string;
}

export interface RawExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Collects the pieces of a body up to a limit. */
export class BodyCollector {
  private pieces: Buffer[] = [];
  private bytes = 0;

  constructor(private readonly maxBytes: number) {}

  add(piece: unknown, encoding?: unknown): void {
    const bytes = toBuffer(piece, encoding);
    this.bytes += bytes.length;
    if (this.bytes <= this.maxBytes) {
      this.pieces.push(bytes);
    } else {
      this.pieces = [];
    }
  }

  /**
   * The whole body; `undefined` when it was over the limit.
   * @param contentLength the declared length: a body of another length is incomplete
   */
  body(contentLength?: Fields[string]): Buffer | undefined {
    const isWhole = contentLength === undefined || Number(contentLength) === this.bytes;
    return this.bytes > this.maxBytes || !isWhole ? undefined : Buffer.concat(this.pieces);
  }
}

function toBuffer(piece: unknown, encoding: unknown): Buffer {
  if (typeof piece === 'string') {
    return Buffer.from(piece, typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : 'utf8');
  }
  return piece instanceof Uint8Array ? Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength) : Buffer.alloc(0);
}

/**
 * The fields that the handler set: those that differ from what middleware and guards had set before it. Fields of the
 * caller, such as a request id or the allowed origin of CORS, are not among them. Of `Vary`, the members that are new.
 */
export function fieldsOfHandler(before: Fields, after: Fields): Fields {
  const own: Record<string, Fields[string]> = {};
  for (const [name, value] of Object.entries(after)) {
    if (value !== undefined && !isEqual(value, before[name])) {
      own[name] = name === 'vary' ? newMembers(before[name], value) : value;
    }
  }
  return own;
}

/** Whether the handler removed a field of middleware or a guard, other than those that describe a body. */
export function isReduced(before: Fields, after: Fields): boolean {
  return Object.keys(before).some((name) => after[name] === undefined && !/^(?:content-(?!sec)|transfer-)/.test(name));
}

function isEqual(one: Fields[string], other: Fields[string]): boolean {
  return one === other || (other !== undefined && joined(one) === joined(other));
}

function newMembers(before: Fields[string], after: Fields[string]): string {
  const known = new Set(membersOf(before).map((member) => member.toLowerCase()));
  return membersOf(after)
    .filter((member) => !known.has(member.toLowerCase()))
    .join(', ');
}

/** The responses whose `Cache-Control` lets caches in front keep them, by an option of the route. */
export const responsesForCaches = new WeakSet<object>();

/** A `Cache-Control` with lifetimes, as the option `clients` makes it. */
const LIFETIMES = /^max-age=\d+(?:, s-maxage=\d+)?(?:, immutable)?$/;

/**
 * Makes a response of {@link responsesForCaches} private when middleware sets a cookie, as sessions do at the last moment:
 * a cache in front would give the cookie of one client to others.
 * @param target a response, or the object from which those of an application inherit: there middleware that replaces
 * `writeHead` acts before
 */
export function keepCookiesPrivate(target: ServerResponse): void {
  const original = Reflect.get(target, 'writeHead') as (...args: unknown[]) => ServerResponse;
  target.writeHead = function writeHead(this: ServerResponse, ...args: unknown[]) {
    // Fastify gives all fields here; Express has set them before.
    const at = args.findIndex((arg) => typeof arg === 'object' && arg !== null && !Array.isArray(arg));
    const given = args[at] as Fields | undefined;
    const valueOf = (name: string): Fields[string] => given?.[name] ?? this.getHeader(name);
    const control = joined(valueOf('cache-control'));
    if (responsesForCaches.has(this) && valueOf('set-cookie') !== undefined && LIFETIMES.test(control)) {
      const closed = `private, ${control.replace(/, s-maxage=\d+/, '')}`;
      this.setHeader('cache-control', closed);
      if (given !== undefined) {
        args[at] = { ...given, 'cache-control': closed };
      }
    }
    return original.apply(this, args);
  };
}
