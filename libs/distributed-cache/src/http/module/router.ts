import type { IncomingMessage, ServerResponse } from 'node:http';
import { Logger, RequestMethod, type Type } from '@nestjs/common';
import { dictionaryError, type DistributedCache, sharesSecretDictionary } from '../../core/index.js';
import { CACHED_RESPONSE } from '../../nest/cache-tokens.js';
import { decoratedMethodsOf } from '../../nest/decorators/decorated-methods.js';
import type { Exchange } from '../exchange/exchange.js';
import { replayOf, type RequestListener } from '../exchange/replayed-request.js';
import type { Place } from '../response-fill.js';
import { CachedResponses } from '../cached-responses.js';
import { type BoundRoute, bindRoute, pathEndOf } from './bound-route.js';
import type { AnonymousRoute } from './guard-check.js';
import { type CachedResponseOptions, completeOptions, type HttpCacheOptions } from './options.js';

type Handler = (...args: never[]) => unknown;

/** The cached routes of one application, and the cache that answers them. */
export class HttpCacheRouter {
  readonly responses: CachedResponses;
  private readonly routes = new Map<Type, Map<unknown, BoundRoute>>();
  private readonly replays = new WeakMap<IncomingMessage, Place>();
  private readonly logger = new Logger('HttpCache');
  /** The bound routes for anonymous clients. */
  readonly anonymousRoutes: AnonymousRoute[] = [];

  readonly options: HttpCacheOptions;

  constructor(
    cache: DistributedCache,
    options: HttpCacheOptions,
    private readonly listener: () => RequestListener,
  ) {
    this.options = completeOptions(options);
    this.responses = new CachedResponses(
      cache,
      this.options,
      (exchange, place) => this.replay(exchange, place),
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
      if (ofMethod !== undefined && ofMethod !== false && this.isCachedMethod(controller, name)) {
        throw new TypeError(
          `@CachedResponse of ${fullName}: the method has @Cached, too. @Cached caches its result, and everything around it runs on each request; @CachedResponse caches the response. Keep one of them`,
        );
      }
      const ownOptions = ofMethod ?? ofClass;
      if (isGet && ownOptions !== undefined && ownOptions !== false) {
        const options = { ...(ofClass === false ? undefined : ofClass), ...ownOptions };
        const { namespace, policy } = this.responses.cache;
        if (typeof options.audience === 'function' && sharesSecretDictionary(policy)) {
          throw dictionaryError(namespace, `@CachedResponse of ${fullName} has an audience for each client`);
        }
        bound.set(handler, bindRoute(this.uniqueName(fullName), options, this.options, pathEndOf(controller, handler)));
        if (options.audience === undefined || options.audience === 'anonymous') {
          this.anonymousRoutes.push({ controller, handler, name: fullName, isWritten: options.audience !== undefined });
        }
      }
    }
    if (bound.size > 0) {
      this.routes.set(controller, bound);
    }
    return [...bound.keys()] as Handler[];
  }

  reportAtStart(findings: readonly string[]): void {
    if (findings.length > 0) {
      this.logger.warn(findings.join('\n'));
    }
  }

  private isCachedMethod(controller: Type, name: string): boolean {
    return decoratedMethodsOf(controller.prototype as object).some(
      (method) => method.role === 'read' && method.name === name,
    );
  }

  get isEmpty(): boolean {
    return this.routes.size === 0;
  }

  routeOf(controller: Type, handler: unknown): BoundRoute | undefined {
    return this.routes.get(controller)?.get(handler);
  }

  allRoutes(): BoundRoute[] {
    return Array.from(this.routes.values(), (routes) => Array.from(routes.values())).flat();
  }

  private routeNamed(name: string): BoundRoute | undefined {
    return this.allRoutes().find((route) => route.name === name);
  }

  handle(exchange: Exchange, route: BoundRoute): 'answered' | 'passed' | Promise<'answered' | 'passed'> {
    const place = this.replays.get(exchange.raw.request);
    return place === undefined
      ? this.responses.handle(exchange, route)
      : this.responses.refresh(exchange, route, place);
  }

  /** The bound routes of one method. */
  routesOf(controller: Type, method: string): BoundRoute[] {
    const handler: unknown = Reflect.get(controller.prototype as object, method);
    const route = this.routeOf(controller, handler);
    return route === undefined ? [] : [route];
  }

  /** Requests a URL as an anonymous client. @returns its status */
  visit(url: string): Promise<number> {
    const { host, pathname, search } = new URL(url);
    const { request, response } = replayOf({ headers: { host } }, `${pathname}${search}`);
    return new Promise((resolve) => {
      response.once('finish', () => resolve(response.statusCode));
      response.once('close', () => resolve(response.statusCode));
      this.request(request, response);
    });
  }

  /** Repeats a request for a refresh; its guards run, and it carries the credentials of the request that triggered it. */
  private replay(exchange: Exchange, place: Place): void {
    const { request, response } = replayOf(exchange.raw.request, exchange.url);
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
