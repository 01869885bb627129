import {
  Inject,
  Injectable,
  Logger,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { HttpAdapterHost, type AbstractHttpAdapter } from '@nestjs/core';
import { finalize, Observable, tap } from 'rxjs';
import { CacheContext, type CacheDimensions, DistributedCache } from '../core/index.js';
import { RequestCacheUsage, RouteMetrics } from '../metrics/index.js';
import { ScopedValue } from '../scope/index.js';

/**
 * Sets the dimensions of each request, for `varyBy`. It runs after guards, so the user is known; it works for HTTP,
 * GraphQL, RPC and WebSocket: `{ provide: APP_INTERCEPTOR, useValue: new CacheContextInterceptor((context) => ({ ...
 * })) }`.
 */
export class CacheContextInterceptor implements NestInterceptor {
  private readonly reportedTypes = new Set<string>();

  /**
   * @param dimensionsOf returns the dimensions of a request of any type (`context.getType()`). If it throws, the request
   * has none: its calls with `varyBy` run uncached, and the log says so once per type.
   */
  constructor(private readonly dimensionsOf: (context: ExecutionContext) => CacheDimensions) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    // The handler runs when it is subscribed to, so the subscription must happen inside the context.
    return new Observable((subscriber) =>
      CacheContext.run(this.dimensions(context), () => next.handle().subscribe(subscriber)),
    );
  }

  private dimensions(context: ExecutionContext): CacheDimensions {
    try {
      return this.dimensionsOf(context);
    } catch (error) {
      const type = context.getType<string>();
      if (!this.reportedTypes.has(type)) {
        this.reportedTypes.add(type);
        const thrown = error instanceof Error ? error.name : typeof error;
        Logger.warn(
          `The function of CacheContextInterceptor threw ${thrown} for a request of type ${type}: its calls with \`varyBy\` are not cached. Make it return the dimensions of every type of request (context.getType())`,
          'DistributedCache',
        );
      }
      return {};
    }
  }
}

/**
 * Assigns lookups to requests. Events are emitted in the asynchronous context of the call that caused them, so each
 * lookup finds the request that it belongs to. It adds its listeners at the first request.
 */
@Injectable()
export class CacheRequestTracker implements OnApplicationShutdown {
  /** The use of the cache per route. */
  readonly routes = new RouteMetrics();
  private readonly requests = new ScopedValue<RequestCacheUsage>();
  private unsubscribe: (() => void)[] = [];

  constructor(@Inject(DistributedCache) private readonly cache: DistributedCache) {}

  /** Whether this call belongs to a request that is followed already. */
  get isTracking(): boolean {
    return this.requests.current !== undefined;
  }

  /** Runs `work`, and everything it starts, as one request. */
  run<Result>(usage: RequestCacheUsage, work: () => Result): Result {
    this.listen();
    return this.requests.run(usage, work);
  }

  /** Adds a request that has ended to the counts of its route. */
  finish(route: string, usage: RequestCacheUsage): void {
    this.routes.record(route, usage);
  }

  /** Removes the listeners. Nest calls it. */
  onApplicationShutdown(): void {
    this.unsubscribe.forEach((unsubscribe) => unsubscribe());
    this.unsubscribe = [];
  }

  private listen(): void {
    if (this.unsubscribe.length === 0) {
      const { events } = this.cache;
      this.unsubscribe = [
        events.on('hit', (event) => this.requests.current?.hit(event)),
        events.on('miss', (event) => this.requests.current?.miss(event)),
      ];
    }
  }
}

const CACHE_STATUS = 'Cache-Status';

/** The parts of a request that name its route: `route` in Express, `routeOptions` in Fastify. */
interface RoutedRequest {
  readonly method?: string;
  readonly route?: { readonly path?: unknown };
  readonly routeOptions?: { readonly url?: unknown };
}

/**
 * Follows each HTTP request through the cache, counts per route which of its lookups hit and in which tier, and reports
 * them in the `Cache-Status` header (RFC 9211), on responses and errors alike, before what other caches wrote there. A
 * lookup that has not ended when the handler answers is not in the header. The interceptor does nothing for GraphQL, RPC
 * and WebSocket, and inside a request that is followed already.
 */
@Injectable()
export class CacheMetricsInterceptor implements NestInterceptor {
  constructor(
    @Inject(CacheRequestTracker) private readonly tracker: CacheRequestTracker,
    @Inject(HttpAdapterHost) private readonly adapterHost: HttpAdapterHost,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { tracker, adapterHost } = this;
    if (context.getType() !== 'http' || tracker.isTracking) {
      return next.handle();
    }
    return new Observable((subscriber) => {
      const usage = new RequestCacheUsage();
      const setHeader = headerSetter(adapterHost.httpAdapter, context.getArgByIndex<unknown>(1), usage);
      // The handler runs when it is subscribed to, so the subscription must happen inside the request's context.
      return tracker.run(usage, () =>
        next
          .handle()
          .pipe(
            tap({ next: setHeader, error: setHeader, complete: setHeader }),
            // However the request ends: with an answer, with an error, or by a client that leaves an event stream.
            finalize(() => tracker.finish(routeOf(context), usage)),
          )
          .subscribe(subscriber),
      );
    });
  }
}

/**
 * Sets the header again only after further lookups. What another cache has written into it before comes behind them: the
 * member of the cache nearest to the handler is the first one (RFC 9211 section 2). A handler that answers by itself
 * (`@Res()`) has sent the headers before the lookups are known: then the header is left out. A check first would cost
 * every other request more than the failed attempt costs this one.
 */
function headerSetter(adapter: AbstractHttpAdapter, response: unknown, usage: RequestCacheUsage): () => void {
  let reportedLookups = -1;
  let before: unknown;
  return () => {
    const { lookups } = usage;
    if (lookups === reportedLookups) {
      return;
    }
    if (reportedLookups === -1) {
      before = adapter.getHeader(response, CACHE_STATUS);
    }
    reportedLookups = lookups;
    const status = usage.toCacheStatus();
    try {
      adapter.setHeader(response, CACHE_STATUS, typeof before === 'string' ? `${status}, ${before}` : status);
    } catch {
      // the headers have been sent
    }
  };
}

/** The pattern of the route, never its path: with paths there would be one counter per user. */
function routeOf(context: ExecutionContext): string {
  const request = context.getArgByIndex<RoutedRequest>(0);
  const { method } = request;
  const pattern = request.route?.path ?? request.routeOptions?.url; // the property that an adapter lacks is looked up last
  return typeof method === 'string' && typeof pattern === 'string'
    ? `${method} ${pattern}`
    : `${context.getClass().name}.${context.getHandler().name}`;
}
