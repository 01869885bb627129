import type { ExecutionContext } from '@nestjs/common';
import type { AbstractHttpAdapter } from '@nestjs/core';
import { Subscriber } from 'rxjs';
import type { RequestCacheUsage } from '../metrics/index.js';
import type { CacheRequestTracker } from './cache-request-tracker.js';

const CACHE_STATUS = 'Cache-Status';

/** The parts of a request that name its route: Express and Fastify, in this order. */
interface RoutedRequest {
  readonly method?: string;
  readonly route?: { readonly path?: unknown };
  readonly routeOptions?: { readonly url?: unknown };
}

/**
 * Passes on the response of a handler, and sets the header before it. It is one object without closures, because there
 * is one per request: a subscriber itself, where `tap` and `finalize` would take five objects.
 */
export class FollowedRequest extends Subscriber<unknown> {
  private toldLookups = -1;

  constructor(
    answers: Subscriber<unknown>,
    private readonly context: ExecutionContext,
    private readonly usage: RequestCacheUsage,
    private readonly tracker: CacheRequestTracker,
    private readonly adapter: AbstractHttpAdapter,
  ) {
    super(answers);
  }

  protected override _next(answer: unknown): void {
    this.setHeader();
    super._next(answer);
  }

  protected override _error(error: unknown): void {
    this.setHeader();
    super._error(error);
  }

  protected override _complete(): void {
    this.setHeader();
    super._complete();
  }

  /** Called at every end of the request: answered, failed, or closed by the client of an event stream. */
  override unsubscribe(): void {
    if (!this.closed) {
      super.unsubscribe();
      this.tracker.finish(routeOf(this.context), this.usage);
    }
  }

  /**
   * Sets the header. A handler that answers by itself (`@Res()`) has sent the headers before, and then no header can be
   * set. That case is rare, and a check for it would cost every other request more than setting the header does.
   */
  private setHeader(): void {
    const { adapter, usage } = this;
    const { lookups } = usage;
    if (lookups === this.toldLookups) {
      return;
    }
    this.toldLookups = lookups;
    try {
      adapter.setHeader(this.context.getArgByIndex<unknown>(1), CACHE_STATUS, usage.toCacheStatus());
    } catch {
      // the headers have been sent
    }
  }
}

/** The route's pattern, never its path: a path would make one counter per user. */
function routeOf(context: ExecutionContext): string {
  const request = context.getArgByIndex<RoutedRequest>(0);
  const { method } = request;
  const pattern = request.route?.path ?? request.routeOptions?.url; // a missing property takes a slow lookup
  return typeof method === 'string' && typeof pattern === 'string'
    ? `${method} ${pattern}`
    : `${context.getClass().name}.${context.getHandler().name}`;
}
