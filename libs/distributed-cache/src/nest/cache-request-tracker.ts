import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { DistributedCache } from '../core/index.js';
import { RequestCacheUsage, RouteMetrics } from '../metrics/index.js';
import { ScopedValue } from '../scope/index.js';

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
