import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { Observable } from 'rxjs';
import { CacheContext, type CacheDimensions } from '../core/index.js';

/**
 * Gives each request the dimensions that `varyBy` asks for. It runs after guards, so the user is known; works for HTTP, GraphQL,
 * RPC and WebSocket alike: `{ provide: APP_INTERCEPTOR, useValue: new CacheContextInterceptor((context) => ({ ... })) }`.
 */
export class CacheContextInterceptor implements NestInterceptor {
  /** @param dimensionsOf what it throws is the answer to the request */
  constructor(private readonly dimensionsOf: (context: ExecutionContext) => CacheDimensions) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    // The handler runs when it is subscribed to, so that is what has to happen inside the context.
    return new Observable((subscriber) =>
      CacheContext.run(this.dimensionsOf(context), () => next.handle().subscribe(subscriber)),
    );
  }
}
