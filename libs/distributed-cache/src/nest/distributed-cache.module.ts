import {
  ConfigurableModuleBuilder,
  Inject,
  Injectable,
  Module,
  type DynamicModule,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import {
  CacheConfig,
  ConfigurationError,
  DistributedCache,
  type DistributedCacheOptions,
  type NamespaceOptions,
} from '../core/index.js';
import { type ClassToDeclare, declareClasses, isRecord } from '../config/index.js';
import { applicationName } from './application-name.js';
import { CACHE_MANAGER, createCacheManager, withCacheManagerDefaults } from './cache-manager/index.js';
import { CacheLogger } from './cache-logger.js';
import { CacheMetricsInterceptor, CacheRequestTracker } from './interceptors.js';
import { BUILT_IN_NAMESPACES, cacheProvider, FOR_ROOT_ONCE, getCacheToken } from './cache-tokens.js';
import { CacheSlotFiller } from './decorators/wrap-method.js';
import { namesLike } from './decorators/decorator-options.js';
import { WarmCalls } from './warm-calls.js';
import { StartCheck } from './start-check/start-check.js';

/** The interface of a class that is given as `useClass` or `useExisting` to `forRootAsync`. */
export interface DistributedCacheOptionsFactory {
  /**
   * Returns the options of the cache, as for `forRoot`. Called once, at the start; if it throws, the start fails with its
   * error.
   */
  createDistributedCacheOptions(): DistributedCacheOptions | Promise<DistributedCacheOptions>;
}

/** What a module caches: namespaces that it injects, and classes whose instances it caches. */
export interface CacheFeature {
  /** The namespaces that the module injects with `@InjectCache`, and their options. */
  namespaces?: readonly FeatureNamespace[];
  /**
   * The classes whose instances come back as instances, as with `@CachedClass`: a class, or `{ class, name, version,
   * serialize, deserialize, migrate }`. They are known to all caches of the process.
   */
  classes?: readonly ClassToDeclare[];
}

/** A namespace and its options. */
export interface FeatureNamespace extends NamespaceOptions {
  namespace: string;
}

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<DistributedCacheOptions>({ moduleName: 'DistributedCache' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createDistributedCacheOptions')
    .setExtras({ isGlobal: true }, (definition, { isGlobal }) => ({ ...definition, global: isGlobal }))
    .build();

/**
 * Refuses options of a built-in namespace: the root module makes these caches before or after a feature is imported, so
 * the options would depend on the order.
 */
function refusePolicy(namespace: string, options: NamespaceOptions): void {
  const problems = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([option]) => ({
      name: `forFeature ${namespace}.${option}`,
      value: 'an option of a built-in namespace',
      allowed: `namespaces.${namespace}.${option} in forRoot`,
    }));
  if (problems.length > 0) {
    throw new ConfigurationError(problems);
  }
}

function isList(feature: readonly FeatureNamespace[] | CacheFeature): feature is readonly FeatureNamespace[] {
  return Array.isArray(feature);
}

/** @throws ConfigurationError for an element that names no namespace */
function checkNamespaces(namespaces: readonly FeatureNamespace[]): readonly FeatureNamespace[] {
  const problems = namespaces.flatMap((one: Partial<FeatureNamespace> | null | undefined, index) =>
    one?.namespace === undefined
      ? [
          {
            name: `forFeature[${index}]`,
            value: JSON.stringify(one),
            allowed: "an object with a namespace: { namespace: 'users' }",
          },
        ]
      : [],
  );
  if (problems.length > 0) {
    throw new ConfigurationError(problems);
  }
  return namespaces;
}

/** @throws ConfigurationError for an unknown option, and for one that is no list */
function checkFeature(feature: CacheFeature): CacheFeature {
  if (!isRecord(feature)) {
    const allowed = 'a list of { namespace, ttl, ... }, or { namespaces, classes }';
    throw new ConfigurationError([{ name: 'forFeature', value: JSON.stringify(feature), allowed }]);
  }
  const names = ['namespaces', 'classes'];
  const problems = Object.entries(feature)
    .filter(([name, value]) => !names.includes(name) || !(value === undefined || Array.isArray(value)))
    .map(([name]) =>
      names.includes(name)
        ? { name: `forFeature ${name}`, value: 'no list', allowed: 'a list' }
        : { name: `forFeature ${name}`, value: 'an unknown option', allowed: namesLike(name, names) },
    );
  if (problems.length > 0) {
    throw new ConfigurationError(problems);
  }
  return feature;
}

const BUILT_IN_CACHES = BUILT_IN_NAMESPACES.map((namespace) => cacheProvider(namespace));

/** In place of the options where the module is imported without `forRoot`. */
const WITHOUT_OPTIONS = Symbol('DistributedCacheModule without forRoot');

/** @throws ConfigurationError, without the value: a text may be an address with a password */
function requireOptions(name: string, options: unknown): void {
  if (!isRecord(options)) {
    const value = options === null || options === undefined ? String(options) : `a ${typeof options}`;
    throw new ConfigurationError([{ name, value, allowed: 'an object with options' }]);
  }
}

function makeCache(options: DistributedCacheOptions | typeof WITHOUT_OPTIONS): DistributedCache {
  if (options === WITHOUT_OPTIONS) {
    throw new ConfigurationError([{ name: 'imports', value: 'DistributedCacheModule', allowed: FOR_ROOT_ONCE }]);
  }
  requireOptions('forRootAsync', options);
  return new DistributedCache(CacheConfig.resolve(withCacheManagerDefaults(options)), {
    application: applicationName(),
  });
}

/**
 * Opens the connection when the application starts, so that the log shows at once which tiers serve. Closes it in
 * `onApplicationShutdown`: in `onModuleDestroy`, requests are still being answered.
 */
@Injectable()
class CacheLifecycle implements OnModuleInit, OnApplicationShutdown {
  constructor(
    @Inject(DistributedCache) private readonly cache: DistributedCache,
    @Inject(CacheLogger) private readonly logger: CacheLogger,
    @Inject(StartCheck) private readonly startCheck: StartCheck,
  ) {}

  async onModuleInit(): Promise<void> {
    this.startCheck.run();
    this.logger.listenTo(this.cache);
    await this.cache.connect();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.cache.close();
    this.logger.stop();
  }
}

/** The module that provides the caches of a `forFeature`. */
@Module({})
class DistributedCacheFeatureModule {}

/**
 * The cache of an application: import `DistributedCacheModule.forRoot()` once, in the root module. It is global unless
 * `isGlobal: false`. A wrong option or environment variable stops the start with a `ConfigurationError` that names
 * every mistake; a Redis that does not answer does not stop it, unless `requireRedis` is `'at-start'`.
 */
@Module({
  imports: [DiscoveryModule],
  providers: [
    {
      provide: DistributedCache,
      useFactory: makeCache,
      inject: [MODULE_OPTIONS_TOKEN],
    },
    // The options of forRoot replace it.
    { provide: MODULE_OPTIONS_TOKEN, useValue: WITHOUT_OPTIONS },
    { provide: CACHE_MANAGER, useFactory: createCacheManager, inject: [DistributedCache] },
    ...BUILT_IN_CACHES,
    CacheLogger,
    CacheLifecycle,
    CacheSlotFiller,
    StartCheck,
    WarmCalls,
    CacheRequestTracker,
    CacheMetricsInterceptor,
  ],
  exports: [
    DistributedCache,
    CACHE_MANAGER,
    CacheRequestTracker,
    CacheMetricsInterceptor,
    ...BUILT_IN_NAMESPACES.map(getCacheToken),
  ],
})
export class DistributedCacheModule extends ConfigurableModuleClass {
  /**
   * Options here have priority over the environment (see docs/configuration.md); without any, the environment and the
   * defaults apply.
   */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    requireOptions('forRoot', options);
    return super.forRoot(options);
  }

  /** Configures the cache asynchronously, with `useFactory` (and `inject`, `imports`), `useClass` or `useExisting`. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    const { useFactory, useClass, useExisting } = options;
    if ((useFactory ?? useClass ?? useExisting) === undefined) {
      const names = 'useFactory, useClass, useExisting';
      throw new ConfigurationError([{ name: 'forRootAsync', value: `no ${names}`, allowed: `one of ${names}` }]);
    }
    return super.forRootAsync(options);
  }

  /**
   * Names the namespaces that the importing module injects with `@InjectCache(namespace)`, and their options; as an
   * object, also the classes whose instances it caches. Several modules may name one namespace with the same options;
   * different ones are a `ConfigurationError` at the start. It needs the global module; beside one with `isGlobal: false`
   * write `{ ...forFeature([...]), imports: [the module that has it] }`.
   * @throws ConfigurationError for options of a built-in namespace: other modules use it already; `forRoot` takes its
   * options; for a wrong option, and for a class that is declared already under another name or in another version
   */
  static forFeature(feature: readonly FeatureNamespace[] | CacheFeature): DynamicModule {
    const { namespaces = [], classes = [] } = isList(feature) ? { namespaces: feature } : checkFeature(feature);
    declareClasses(classes, 'forFeature classes');
    const providers = checkNamespaces(namespaces).map(({ namespace, ...options }) => {
      const isBuiltIn = BUILT_IN_NAMESPACES.includes(namespace);
      if (isBuiltIn) {
        refusePolicy(namespace, options);
      }
      return cacheProvider(namespace, isBuiltIn ? undefined : options);
    });
    return {
      module: DistributedCacheFeatureModule,
      providers,
      exports: namespaces.map(({ namespace }) => getCacheToken(namespace)),
    };
  }
}
