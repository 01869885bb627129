import type { DistributedCacheOptions } from '../../core/index.js';

/** The namespace of what is stored through cache-manager. */
export const CACHE_MANAGER_NAMESPACE = 'cache-manager';

/**
 * The options with the policy that users of cache-manager expect for its namespace: they may change what they read, so each
 * reader gets its own copy (`values: 'cloned'`). What the application says about this namespace wins. Options that are no
 * options come back as they are: the configuration reports them.
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

/** The types promise it; plain JavaScript and JSON files don't. */
function isObject<Value>(value: Value): value is Value & object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
