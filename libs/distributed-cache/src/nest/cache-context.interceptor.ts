import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { Observable } from 'rxjs';
import { CacheContext, type CacheDimensions } from '../core/index.js';

/**
 * Sets the dimensions of each request, for `varyBy`. It runs after guards, so the user is known; it works for HTTP,
 * GraphQL, RPC and WebSocket: `{ provide: APP_INTERCEPTOR, useValue: new CacheContextInterceptor((context) => ({ ...
 * })) }`.
 */
export class CacheContextInterceptor implements NestInterceptor {
  /** @param dimensionsOf returns the dimensions; an error that it throws is the response to the request */
  constructor(private readonly dimensionsOf: (context: ExecutionContext) => CacheDimensions) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    // The handler runs when it is subscribed to, so the subscription must happen inside the context.
    return new Observable((subscriber) =>
      CacheContext.run(this.dimensionsOf(context), () => next.handle().subscribe(subscriber)),
    );
  }
}
