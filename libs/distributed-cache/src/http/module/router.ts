import type { IncomingMessage, ServerResponse } from 'node:http';
import { Logger, RequestMethod, type Type } from '@nestjs/common';
import type { DistributedCache } from '../../core/index.js';
import { CACHED_RESPONSE } from '../decorators/cached-response.decorator.js';
import type { Exchange } from '../exchange/exchange.js';
import { replayOf, type RequestListener } from '../exchange/replayed-request.js';
import { splitUrl } from '../entry/response-key.js';
import { type Place, urlTag } from '../response-fill.js';
import { ResponseCache } from '../response-cache.js';
import { type BoundRoute, bindRoute } from './bound-route.js';
import type { CachedResponseOptions, HttpCacheOptions } from './options.js';

type Handler = (...args: never[]) => unknown;

/** The cached routes of one application, and the cache that answers them. */
export class HttpCacheRouter {
  readonly responses: ResponseCache;
  private readonly routes = new Map<Type, Map<unknown, BoundRoute>>();
  private readonly replays = new WeakMap<IncomingMessage, Place>();
  private readonly logger = new Logger('HttpCache');

  constructor(
    cache: DistributedCache,
    private readonly options: HttpCacheOptions,
    private readonly listener: () => RequestListener,
  ) {
    this.responses = new ResponseCache(
      cache,
      options,
      (exchange, fields, place) => this.replay(exchange, fields, place),
      (message) => this.logger.warn(message),
    );
  }

  /** Binds the cached methods of a controller. @returns the methods */
  bind(controller: Type): Handler[] {
    const bound = new Map<unknown, BoundRoute>();
    const ofClass = Reflect.getMetadata(CACHED_RESPONSE, controller) as CachedResponseOptions | false | undefined;
    for (const [name, handler] of handlersOf(controller)) {
      const ofMethod = Reflect.getMetadata(CACHED_RESPONSE, handler) as CachedResponseOptions | false | undefined;
      const isGet =
        Reflect.getMetadata('method', handler) === RequestMethod.GET && !Reflect.getMetadata('__sse__', handler);
      const fullName = `${controller.name}.${name}`;
      if (ofMethod !== undefined && ofMethod !== false && !isGet) {
        throw new TypeError(`@CachedResponse of ${fullName}: only the responses of @Get methods can be cached`);
      }
      const options = ofMethod ?? ofClass;
      if (isGet && options !== undefined && options !== false) {
        bound.set(handler, bindRoute(this.uniqueName(fullName), { ...(ofClass || {}), ...options }, this.options));
      }
    }
    if (bound.size > 0) {
      this.routes.set(controller, bound);
    }
    return [...bound.keys()] as Handler[];
  }

  get isEmpty(): boolean {
    return this.routes.size === 0;
  }

  routeOf(controller: Type, handler: unknown): BoundRoute | undefined {
    return this.routes.get(controller)?.get(handler);
  }

  routeNamed(name: string): BoundRoute | undefined {
    return [...this.routes.values()].flatMap((routes) => [...routes.values()]).find((route) => route.name === name);
  }

  handle(exchange: Exchange, route: BoundRoute): Promise<'answered' | 'passed'> {
    const place = this.replays.get(exchange.raw.request);
    return place === undefined
      ? this.responses.handle(exchange, route)
      : this.responses.refresh(exchange, route, place);
  }

  /** The tag of the stored responses of an absolute URL. */
  tagOf(url: string): string {
    const { host, pathname, search } = new URL(url);
    const { path, query } = splitUrl(`${pathname}${search}`, 'all');
    return urlTag(host, path, query);
  }

  /** Repeats a request for a refresh; its guards run, and it carries the credentials of the request that triggered it. */
  private replay(exchange: Exchange, fields: Readonly<Record<string, string>>, place: Place): void {
    const { request, response } = replayOf(exchange.raw.request, fields);
    this.replays.set(request, place);
    response.once('close', () => place.done?.());
    response.once('finish', () => place.done?.());
    this.request(request, response);
  }

  request(request: IncomingMessage, response: ServerResponse): void {
    this.listener()(request, response);
  }

  /** Two controllers may have one name: then the second one's routes get a number. */
  private uniqueName(name: string): string {
    const taken = (candidate: string) => this.routeNamed(candidate) !== undefined;
    let unique = name;
    for (let number = 2; taken(unique); number++) {
      unique = `${name}#${number}`;
    }
    return unique;
  }
}

function handlersOf(controller: Type): [string, Handler][] {
  const handlers = new Map<string, Handler>();
  for (let prototype = controller.prototype as object | null; prototype !== null && prototype !== Object.prototype;) {
    for (const name of Object.getOwnPropertyNames(prototype)) {
      const { value } = Object.getOwnPropertyDescriptor(prototype, name) ?? {};
      if (name !== 'constructor' && typeof value === 'function' && !handlers.has(name)) {
        handlers.set(name, value as Handler);
      }
    }
    prototype = Object.getPrototypeOf(prototype) as object | null;
  }
  return [...handlers];
}
