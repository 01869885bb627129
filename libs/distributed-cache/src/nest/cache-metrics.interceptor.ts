import { Inject, Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Observable } from 'rxjs';
import { RequestCacheUsage } from '../metrics/index.js';
import { CacheRequestTracker } from './cache-request-tracker.js';
import { FollowedRequest } from './followed-request.js';

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
      const request = new FollowedRequest(subscriber, context, usage, tracker, adapterHost.httpAdapter);
      // The handler runs when it is subscribed to, so the subscription must happen inside the request's context.
      tracker.run(usage, () => next.handle().subscribe(request));
    });
  }
}
