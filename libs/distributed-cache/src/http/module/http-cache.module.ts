import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConfigurableModuleBuilder, type DynamicModule, Inject, Module, type NestModule } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, HttpAdapterHost, ModuleRef } from '@nestjs/core';
import { DistributedCache, StartCheckError } from '../../core/index.js';
import { ANSWER_POINT } from '../answer-point.js';
import { keepCookiesPrivate } from '../exchange/exchange.js';
import type { RequestListener } from '../exchange/replayed-request.js';
import { HttpCache } from '../http-cache.js';
import { globalGuardsOf, guardFindings, GUARDS } from './guard-check.js';
import type { HttpCacheOptions } from './options.js';
import { type PurgeEndpoint, purgeController } from './purge-endpoint.js';
import { HttpCacheRouter } from './router.js';
import { UnsafeMethods } from './unsafe-methods.js';

/** What the module is made of, besides the options of the cache. It can't be computed asynchronously. */
interface ModuleExtras {
  /** Whether all modules can inject `HttpCache`. Default true. */
  isGlobal?: boolean;
  /** An endpoint that purges stored responses. Default: none. */
  purge?: PurgeEndpoint | undefined;
}

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<HttpCacheOptions>({ moduleName: 'HttpCache' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createHttpCacheOptions')
    .setExtras<ModuleExtras>({ isGlobal: true, purge: undefined }, (definition, { isGlobal, purge }) => ({
      ...definition,
      global: isGlobal,
      controllers: purge === undefined ? [] : [purgeController(purge)],
    }))
    .build();

/** What an application of Express or Fastify is as a listener of `node:http`. */
interface HttpInstance {
  readonly routing?: RequestListener;
  /** Of Express: what the responses of the application inherit from. */
  readonly response?: ServerResponse;
  /** Of Fastify, which by default knows some methods only. */
  addHttpMethod?(method: string, options: { readonly hasBody: boolean }): void;
  readonly addHook?: (
    name: 'onRequest',
    hook: (request: { raw: IncomingMessage }, reply: { raw: ServerResponse }, done: () => void) => void,
  ) => void;
}

/**
 * The response cache of an application: import `HttpCacheModule.forRoot()` once, beside `DistributedCacheModule.forRoot()`.
 * It caches the responses of methods with `@CachedResponse`, and none besides.
 */
@Module({
  imports: [DiscoveryModule],
  providers: [
    {
      provide: HttpCacheRouter,
      inject: [DistributedCache, MODULE_OPTIONS_TOKEN, HttpAdapterHost],
      useFactory: (cache: DistributedCache, options: HttpCacheOptions, host: HttpAdapterHost) =>
        new HttpCacheRouter(cache, options, () => {
          const instance = host.httpAdapter.getInstance<HttpInstance & RequestListener>();
          return typeof instance === 'function' ? instance : (instance as Required<HttpInstance>).routing;
        }),
    },
    HttpCache,
  ],
  exports: [HttpCache],
})
export class HttpCacheModule extends ConfigurableModuleClass implements NestModule {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(HttpAdapterHost) private readonly adapterHost: HttpAdapterHost,
    @Inject(HttpCacheRouter) private readonly router: HttpCacheRouter,
    @Inject(DistributedCache) private readonly cache: DistributedCache,
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
  ) {
    super();
  }

  /**
   * @param options see docs/http.md; all have defaults
   * @throws TypeError for a purge endpoint without a guard. A wrong option is one at the start
   */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return super.forRoot(options);
  }

  /**
   * Takes the options from `useFactory` (and `inject`, `imports`), `useClass` or `useExisting`; `isGlobal` and `purge`
   * stand beside them.
   */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }

  /**
   * Nest calls it before it reads the guards of the routes.
   * @throws StartCheckError with `strictStart`, for routes for anonymous clients behind guards that may authenticate
   */
  configure(): void {
    const { httpAdapter } = this.adapterHost;
    if (httpAdapter === undefined || !this.cache.config.enabled) {
      return; // with the cache switched off, every method runs as if undecorated
    }
    const instance = httpAdapter.getInstance<HttpInstance>();
    instance.addHttpMethod?.('PURGE', { hasBody: false });
    ANSWER_POINT.attach(instance, this.router);
    for (const { metatype } of this.discovery.getControllers()) {
      if (typeof metatype === 'function') {
        this.router.bind(metatype as Parameters<HttpCacheRouter['bind']>[0]).forEach(putLast);
      }
    }
    const findings = guardFindings(this.router.anonymousRoutes, globalGuardsOf(this.moduleRef), ANSWER_POINT);
    if (findings.length > 0 && this.cache.config.strictStart) {
      throw new StartCheckError(findings);
    }
    this.router.reportAtStart(findings);
    if (this.router.isEmpty) {
      return;
    }
    const { middleware } = new UnsafeMethods(this.router);
    const isForCaches = this.router.allRoutes().some((route) => route.isForCaches);
    if (instance.addHook === undefined) {
      httpAdapter.use(middleware); // not by the consumer: Nest would match the path of each request
      if (isForCaches && instance.response !== undefined) {
        keepCookiesPrivate(instance.response);
      }
      return;
    }
    instance.addHook('onRequest', ({ raw: request }, { raw: response }, done) => {
      if (isForCaches) {
        keepCookiesPrivate(response);
      }
      middleware(request, response, done);
    });
  }
}

/** Puts the answer point at the end of the guards of a method, behind those that were written above it. */
function putLast(handler: object): void {
  const guards = (Reflect.getMetadata(GUARDS, handler) ?? []) as unknown[];
  Reflect.defineMetadata(GUARDS, [...guards.filter((guard) => guard !== ANSWER_POINT), ANSWER_POINT], handler);
}
