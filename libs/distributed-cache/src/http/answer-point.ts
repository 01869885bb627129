import type { CanActivate, ExecutionContext } from '@nestjs/common';
import { ExpressExchange, type ExpressRequest } from './exchange/express.js';
import { FastifyExchange, type FastifyReply, type FastifyRequest } from './exchange/fastify.js';
import type { Exchange } from './exchange/exchange.js';
import type { HttpCacheRouter } from './module/router.js';

/*
 * Where a stored response is sent: in a guard that is the last one of its method. Nest runs guards before interceptors,
 * pipes and the handler, global ones before those of the class and the method, so no guard is skipped. `HttpCacheModule`
 * puts this guard at the end of each method's list before Nest reads the lists.
 *
 * After it has sent the answer, the guard returns a promise that never settles: Nest has nothing more to do for the
 * request, and nothing refers to the promise, so it is collected together with the request. The other way to end the
 * pipeline is an exception with an empty filter; it costs 4 us per hit.
 *
 * Decided by a guard of each form under OpenTelemetry (instrumentation-http 0.223, instrumentation-nestjs-core 0.70), on
 * Express and Fastify, with three hits. The span of HTTP ends without an error in both. The span of Nest 11 around the route begins with
 * each hit: with the promise it never ends, so it is not exported, and the trace of a hit is that of HTTP alone; with the
 * exception it ends with the status ERROR and an exception in every hit, which alerts count. A missing span is better than
 * a false error. instrumentation-nestjs-core 0.70 makes no spans for Nest 12, so there is no difference.
 */

/** The promise of an exchange that has been answered. */
function never(): Promise<never> {
  return new Promise(() => {});
}

function ended(decision: 'answered' | 'passed'): true | Promise<never> {
  return decision === 'answered' ? never() : true;
}

/** The last guard of every cached method. It has no state: an application without the module caches nothing. */
export class AnswerPoint implements CanActivate {
  private readonly routers = new WeakMap<object, HttpCacheRouter>();

  /** Makes the guard answer for an application, by the object that its requests name: an Express or Fastify instance. */
  attach(app: object, router: HttpCacheRouter): void {
    this.routers.set(app, router);
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    if (context.getType() !== 'http') {
      return true;
    }
    const request = context.getArgByIndex<ExpressRequest | FastifyRequest>(0);
    const router = this.routerOf(request);
    const route = router?.routeOf(context.getClass(), context.getHandler());
    if (router === undefined || route === undefined) {
      return true;
    }
    const exchange = exchangeOf(request, context.getArgByIndex<object>(1));
    const deciding = router.handle(exchange, route);
    return typeof deciding === 'string' ? ended(deciding) : deciding.then(ended);
  }

  private routerOf(request: ExpressRequest | FastifyRequest): HttpCacheRouter | undefined {
    // A route of Fastify may belong to an instance that inherits from that of the application.
    let app: unknown = 'server' in request ? request.server : request.app;
    while (typeof app === 'function' || (typeof app === 'object' && app !== null)) {
      const router = this.routers.get(app);
      if (router !== undefined) {
        return router;
      }
      app = Object.getPrototypeOf(app) as unknown;
    }
    return undefined;
  }
}

function exchangeOf(request: ExpressRequest | FastifyRequest, response: object): Exchange {
  return 'raw' in request
    ? new FastifyExchange(request, response as FastifyReply)
    : new ExpressExchange(request, response as ConstructorParameters<typeof ExpressExchange>[1]);
}

/** The one guard of the process. */
export const ANSWER_POINT = new AnswerPoint();
