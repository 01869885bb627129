import { Inject, Injectable, Logger } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { dictionaryError, DistributedCache, sharesSecretDictionary, StartCheckError } from '../../core/index.js';
import { CACHED_RESPONSE } from '../cache-tokens.js';
import { hasDefaults } from '../decorators/cache-defaults.decorator.js';
import { callerName } from '../decorators/entry-keys.js';
import { evictionFindings, keyFindings, requestFindings } from './findings.js';
import { type Application, type NamedClass, readApplication } from './managed-classes.js';

/**
 * Checks the decorated methods of the application at the start, when all providers are known: default keys that collide
 * or change, evictions that reach no entry, results that depend on the request, TTLs in the wrong unit. All findings are
 * one warning in the log; with `strictStart` they stop the start. A sound application gets no message.
 */
@Injectable()
export class StartCheck {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(DistributedCache) private readonly cache: DistributedCache,
  ) {}

  /**
   * @throws StartCheckError with `strictStart`, if there are findings
   * @throws ConfigurationError for `varyBy` where values are encrypted and share a dictionary
   */
  run(): void {
    const { enabled, strictStart, namespaceNames } = this.cache.config;
    if (!enabled) {
      return;
    }
    const application = readApplication(this.discovery);
    if (application.caches[0] !== this.cache) {
      return; // another forRoot reports
    }
    this.refuseSharedDictionaries(application);
    const findings = [
      ...rootFindings(application),
      ...keyFindings(application.classes),
      ...evictionFindings(application, new Set(namespaceNames)),
      ...requestFindings(application.classes),
      ...defaultsFindings(application),
      ...unitFindings(application),
      ...responseFindings(application),
    ];
    if (findings.length === 0) {
      return;
    }
    if (strictStart) {
      throw new StartCheckError(findings);
    }
    const lines = findings.map((finding) => `\n  - ${finding}`);
    Logger.warn(`cache_start_check (strictStart makes an error of it)${lines.join('')}`, 'DistributedCache');
  }

  private refuseSharedDictionaries({ classes }: Application): void {
    for (const { namespace, varyBy = [], declaring, name } of classes.flatMap(({ methods }) => methods)) {
      if (varyBy.length > 0 && sharesSecretDictionary(this.cache.config.namespace(namespace))) {
        throw dictionaryError(namespace, `${callerName(declaring, name)} varies by ${varyBy.join()}`);
      }
    }
  }
}

function rootFindings({ caches }: Application): string[] {
  return caches.length < 2
    ? []
    : [
        `DistributedCacheModule.forRoot() is imported ${caches.length} times, and each import makes a cache of its own. Import it once, in the root module; other modules import forFeature, or nothing.`,
      ];
}

/** Classes with `@CacheDefaults` that declare no method for it: the methods that they inherit have other defaults. */
function defaultsFindings({ classes }: Application): string[] {
  const declaring = classes.flatMap(({ methods }) => methods.map((method) => method.declaring.constructor));
  const isUsed = (type: object) =>
    declaring.some((one) => one === type || Object.prototype.isPrototypeOf.call(type, one));
  return classes
    .filter(({ type }) => hasDefaults(type) && !isUsed(type))
    .map(
      ({ type }) =>
        `@CacheDefaults of ${type.name} has no effect, as the class declares no method with a decorator of the cache, and inherited methods keep the defaults of their own class. Write it above the class that declares the methods.`,
    );
}

/** Controllers with `@CachedResponse` in an application without the module that caches responses. */
function responseFindings({ controllers, cachesResponses }: Application): string[] {
  const isDecorated = (target: unknown) =>
    typeof target === 'function' && Boolean(Reflect.getMetadata(CACHED_RESPONSE, target));
  const members = (type: NamedClass) => Object.values(Object.getOwnPropertyDescriptors(type.prototype as object));
  return cachesResponses
    ? []
    : controllers
        .filter((type) => isDecorated(type) || members(type).some(({ value }) => isDecorated(value)))
        .map(
          ({ name }) =>
            `@CachedResponse of ${name} has no effect: import HttpCacheModule.forRoot() of nestjs-distributed-cache/http in the root module.`,
        );
}

/** Numbers over a day that are round in milliseconds and no whole hours in seconds: `300000` is five minutes in ms. */
function unitFindings({ classes }: Application): string[] {
  const methods = new Set(classes.flatMap((managed) => managed.methods));
  return [...methods].flatMap((method) => {
    const { ttl, declaring, name, decorator } = method;
    return typeof ttl === 'number' && looksLikeMilliseconds(ttl)
      ? [
          `${declaring.constructor.name}.${String(name)} (@${decorator}) has the ttl ${ttl}, which is ${days(ttl)} days: a number is seconds. Write '${ttl}ms' for milliseconds, or '${ttl}s' if it is meant.`,
        ]
      : [];
  });
}

const DAY_S = 86_400;

function looksLikeMilliseconds(ttl: number): boolean {
  return ttl >= 100_000 && ttl % 1000 === 0 && (ttl % DAY_S !== 0 || ttl >= 1000 * DAY_S);
}

function days(ttl: number): string {
  return (ttl / DAY_S).toFixed(1);
}
