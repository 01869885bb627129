import type { DistributedCacheOptions } from '../../core/index.js';

/** The default namespace of entries that are stored through cache-manager. */
export const CACHE_MANAGER_NAMESPACE = 'cache-manager';

/**
 * Adds the defaults that users of cache-manager expect for its namespace: callers may change a value that they read, so
 * each reader gets its own copy (`values: 'cloned'`). The application's options for this namespace have priority. An
 * argument that is not an object is returned as it is: the configuration reports it.
 */
export function withCacheManagerDefaults(options: DistributedCacheOptions = {}): DistributedCacheOptions {
  const { namespaces = {} } = options;
  if (!isObject(namespaces)) {
    return options;
  }
  const { [CACHE_MANAGER_NAMESPACE]: own = {} } = namespaces;
  if (!isObject(own)) {
    return options;
  }
  const { values = 'cloned' } = own;
  return { ...options, namespaces: { ...namespaces, [CACHE_MANAGER_NAMESPACE]: { ...own, values } } };
}

/** The types guarantee it; plain JavaScript and JSON files don't. */
function isObject<Value>(value: Value): value is Value & object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
