import { Inject } from '@nestjs/common';

/** The injection token of a namespace's cache. */
export function getCacheToken(namespace: string): string {
  return `DistributedCache:${namespace}`;
}

/**
 * Injects the `AsyncCache` of a namespace. `keywords`, `metrics`, `trends` and `default` always exist; other namespaces
 * are named in a `DistributedCacheModule.forFeature([{ namespace }])` that the module imports.
 */
export function InjectCache(namespace: string): PropertyDecorator & ParameterDecorator {
  return Inject(getCacheToken(namespace));
}
