import { Inject, type Provider } from '@nestjs/common';
import { type AsyncCache, ConfigurationError, DistributedCache, type NamespaceOptions } from '../core/index.js';
import { CACHE_MANAGER_NAMESPACE } from './cache-manager/index.js';
import { DEFAULT_NAMESPACE } from './decorators/decorator-options.js';

/** The namespaces whose caches can be injected without `forFeature`. */
export const BUILT_IN_NAMESPACES = [DEFAULT_NAMESPACE, 'keywords', 'metrics', 'trends'];

/** The metadata of a method or controller with `@CachedResponse`. */
export const CACHED_RESPONSE = Symbol.for('nestjs-distributed-cache:cached-response');

const TOKEN_PREFIX = 'DistributedCache:';

/**
 * The injection token of a namespace's cache. Nest prints the token when no module provides it, so its text says what is
 * missing.
 */
export function getCacheToken(namespace: string): string {
  const needs = BUILT_IN_NAMESPACES.includes(namespace) ? 'forRoot()' : `forFeature([{ namespace: '${namespace}' }])`;
  return `${TOKEN_PREFIX}${namespace} (needs DistributedCacheModule.${needs})`;
}

/** The namespace of a token of {@link getCacheToken}; `undefined` for any other token. */
export function namespaceOfToken(token: unknown): string | undefined {
  return typeof token === 'string' && token.startsWith(TOKEN_PREFIX)
    ? token.slice(TOKEN_PREFIX.length, token.indexOf(' '))
    : undefined;
}

/**
 * Injects the `AsyncCache` of a namespace. `keywords`, `metrics`, `trends` and `default` always exist; other namespaces
 * are named in a `DistributedCacheModule.forFeature([{ namespace }])` that the module imports.
 */
export function InjectCache(namespace: string): PropertyDecorator & ParameterDecorator {
  return Inject(getCacheToken(namespace));
}

/** Whether a namespace exists without being named anywhere. */
export function isBuiltIn(namespace: string): boolean {
  return BUILT_IN_NAMESPACES.includes(namespace) || namespace === CACHE_MANAGER_NAMESPACE;
}

/** Where the module belongs, for a message. */
export const FOR_ROOT_ONCE =
  'DistributedCacheModule.forRoot() once, in the root module; other modules need no import, or forFeature for namespaces of their own';

/**
 * Provides the cache of a namespace under its token. Without `forRoot`, Nest's own error would name this token, whose
 * text asks for the `forFeature` that is there.
 */
export function cacheProvider(namespace: string, options?: NamespaceOptions): Provider {
  return {
    provide: getCacheToken(namespace),
    useFactory: (cache: DistributedCache | undefined): AsyncCache => {
      if (cache === undefined) {
        const name = `forFeature ${namespace}`;
        const notGlobal = '{ ...forFeature([…]), imports: [the module with forRoot] } where that has `isGlobal: false`';
        throw new ConfigurationError([{ name, value: 'no cache', allowed: `${FOR_ROOT_ONCE}; ${notGlobal}` }]);
      }
      return cache.getCache(namespace, options);
    },
    inject: [{ token: DistributedCache, optional: true }],
  };
}
