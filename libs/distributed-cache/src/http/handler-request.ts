import type { IncomingMessage } from 'node:http';
import { type QueryRule, splitUrl } from './entry/response-key.js';
import type { Exchange } from './exchange/exchange.js';
import type { Fields } from './rules/fields.js';
import { CONDITION_FIELDS } from './rules/validators.js';

/**
 * Changes a request so that its handler makes a response for all clients of the key: a GET without the conditions of this
 * client, and without the parameters of the query that are not part of the key. What the handler can't see can't get into
 * the response.
 */
export class HandlerRequest {
  private readonly request: IncomingMessage;
  private readonly method: string;
  /** Which of the conditions have changed. */
  private readonly conditions: readonly string[];
  private readonly restores: (() => void)[] = [];

  /**
   * @param clientFields the fields of the request, as its client sent them
   * @param validators the conditions of the cache: it has a response that may still be current
   */
  constructor(
    exchange: Exchange,
    private readonly clientFields: Fields,
    query: QueryRule,
    validators: Readonly<Record<string, string>>,
  ) {
    const { request } = exchange.raw;
    this.request = request;
    this.method = exchange.method;
    this.conditions = CONDITION_FIELDS.filter((name) => name in clientFields || name in validators);
    for (const name of this.conditions) {
      delete request.headers[name];
    }
    Object.assign(request.headers, validators);
    request.method = 'GET'; // a HEAD fills the entry for GET
    if (query !== 'all' && exchange.url.includes('?')) {
      this.narrow(exchange, splitUrl(exchange.url, query).query);
    }
  }

  /** Once the head of the response is known, the framework sends it to this client. */
  restoreConditions(): void {
    const { request, method } = this;
    request.method = method;
    for (const name of this.conditions) {
      const value = this.clientFields[name];
      if (value === undefined) {
        delete request.headers[name];
      } else {
        request.headers[name] = value as string;
      }
    }
  }

  /** Once the handler has ended. */
  restore(): void {
    this.restoreConditions();
    this.restores.splice(0).forEach((restore) => restore());
  }

  private narrow({ request, raw, url }: Exchange, query: string): void {
    const withQuery = (text: string): string => text.replace(/\?.*$/s, query === '' ? '' : `?${query}`);
    for (const name of ['url', 'originalUrl']) {
      const text: unknown = Reflect.get(raw.request, name);
      if (typeof text === 'string') {
        this.replace(raw.request, name, withQuery(text));
      }
    }
    // Fastify has parsed the query already; Express parses it at each use.
    const parsed: unknown = Object.getOwnPropertyDescriptor(request, 'query')?.value;
    if (typeof parsed === 'object' && parsed !== null) {
      const seen = namesIn(query);
      const hidden = namesIn(url.slice(url.indexOf('?') + 1)).filter((name) => !seen.includes(name));
      const isSeen = (name: string): boolean =>
        seen.includes(name) || (seen.some(isWithin(name)) && !hidden.some(isWithin(name)));
      const kept = Object.entries(parsed).filter(([name]) => isSeen(name));
      this.replace(request, 'query', Object.fromEntries(kept));
    }
  }

  private replace(target: object, name: string, value: unknown): void {
    const before: unknown = Reflect.get(target, name);
    Reflect.set(target, name, value);
    this.restores.push(() => Reflect.set(target, name, before));
  }
}

function namesIn(query: string): string[] {
  return [...new URLSearchParams(query).keys()];
}

/** Whether a parameter is a part of an object of parameters, as `filter[name]` is of `filter`. */
function isWithin(name: string): (parameter: string) => boolean {
  return (parameter) => parameter.startsWith(`${name}[`);
}
