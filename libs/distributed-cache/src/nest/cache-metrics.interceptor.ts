import { Inject, Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Observable } from 'rxjs';
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
 * Follows each HTTP request through the cache, counts per route which of its lookups hit and in which tier, and says so in
 * the `Cache-Status` header (RFC 9211), on answers and errors alike. Lookups that a handler has not waited for when
 * it answers are not in the header. Steps aside for GraphQL, RPC and WebSocket, and inside a request followed already.
 */
@Injectable()
export class CacheMetricsInterceptor implements NestInterceptor {
  constructor(
    @Inject(CacheRequestTracker) private readonly tracker: CacheRequestTracker,
    @Inject(HttpAdapterHost) private readonly adapterHost: HttpAdapterHost,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'http' || this.tracker.isTracking) {
      return next.handle();
    }
    const usage = new RequestCacheUsage();
    // The handler runs when it is subscribed to, so that is what has to happen inside the request.
    return new Observable((subscriber) => {
      const handler = this.tracker.run(usage, () =>
        next.handle().subscribe({
          next: (answer) => {
            this.setHeader(context, usage);
            subscriber.next(answer);
          },
          error: (error: unknown) => {
            this.setHeader(context, usage);
            subscriber.error(error);
          },
          complete: () => {
            this.setHeader(context, usage);
            subscriber.complete();
          },
        }),
      );
      // Runs once, however the request ends: answered, failed, or left by the client of an event stream.
      return () => {
        handler.unsubscribe();
        this.tracker.finish(routeOf(context), usage);
      };
    });
  }

  /** A handler that answers by itself (`@Res()`) has sent the headers before we know them. */
  private setHeader(context: ExecutionContext, usage: RequestCacheUsage): void {
    const { httpAdapter } = this.adapterHost;
    const response = context.switchToHttp().getResponse<unknown>();
    if (httpAdapter.isHeadersSent(response) !== true) {
      httpAdapter.setHeader(response, CACHE_STATUS, usage.toCacheStatus());
    }
  }
}

/** The route's pattern, never its path: that would be one counter a user. */
function routeOf(context: ExecutionContext): string {
  const { method, route, routeOptions } = context.switchToHttp().getRequest<RoutedRequest>();
  const pattern = route?.path ?? routeOptions?.url;
  return typeof method === 'string' && typeof pattern === 'string'
    ? `${method} ${pattern}`
    : `${context.getClass().name}.${context.getHandler().name}`;
}
