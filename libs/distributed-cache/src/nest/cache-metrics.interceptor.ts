import { Inject, Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { HttpAdapterHost, type AbstractHttpAdapter } from '@nestjs/core';
import { finalize, Observable, tap } from 'rxjs';
import { RequestCacheUsage } from '../metrics/index.js';
import { CacheRequestTracker } from './cache-request-tracker.js';

const CACHE_STATUS = 'Cache-Status';

/** The parts of a request that name its route: Express and Fastify, in this order. */
interface RoutedRequest {
  readonly method?: string;
  readonly route?: { readonly path?: unknown };
  readonly routeOptions?: { readonly url?: unknown };
}

/**
 * Follows each HTTP request through the cache, counts per route which of its lookups hit and in which tier, and reports
 * them in the `Cache-Status` header (RFC 9211), on responses and errors alike. A lookup that has not ended when the
 * handler answers is not in the header. The interceptor does nothing for GraphQL, RPC and WebSocket, and inside a
 * request that is followed already.
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
            // However the request ends: answered, failed, or left by the client of an event stream.
            finalize(() => tracker.finish(routeOf(context), usage)),
          )
          .subscribe(subscriber),
      );
    });
  }
}

/**
 * Sets the header again only when further lookups have been made. A handler that answers by itself (`@Res()`) has sent the headers before
 * the lookups are known: then the header is left out. Asking first would cost each other request more than the attempt.
 */
function headerSetter(adapter: AbstractHttpAdapter, response: unknown, usage: RequestCacheUsage): () => void {
  let toldLookups = -1;
  return () => {
    const { lookups } = usage;
    if (lookups === toldLookups) {
      return;
    }
    toldLookups = lookups;
    try {
      adapter.setHeader(response, CACHE_STATUS, usage.toCacheStatus());
    } catch {
      // the headers have been sent
    }
  };
}

/** The route's pattern, never its path: that would be one counter a user. */
function routeOf(context: ExecutionContext): string {
  const request = context.getArgByIndex<RoutedRequest>(0);
  const { method } = request;
  const pattern = request.route?.path ?? request.routeOptions?.url; // the property that an adapter lacks is looked up last
  return typeof method === 'string' && typeof pattern === 'string'
    ? `${method} ${pattern}`
    : `${context.getClass().name}.${context.getHandler().name}`;
}
