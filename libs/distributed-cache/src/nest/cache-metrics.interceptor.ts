import { Inject, Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Observable } from 'rxjs';
import { RequestCacheUsage } from '../metrics/index.js';
import { CacheRequestTracker } from './cache-request-tracker.js';
import { FollowedRequest } from './followed-request.js';

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
    const { tracker, adapterHost } = this;
    if (context.getType() !== 'http' || tracker.isTracking) {
      return next.handle();
    }
    return new Observable((subscriber) => {
      const usage = new RequestCacheUsage();
      const request = new FollowedRequest(subscriber, context, usage, tracker, adapterHost.httpAdapter);
      // The handler runs when it is subscribed to, so that is what has to happen inside the request.
      tracker.run(usage, () => next.handle().subscribe(request));
    });
  }
}
