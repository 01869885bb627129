export { CACHE_MANAGER_NAMESPACE, withCacheManagerDefaults } from './cache-manager-namespace.js';
export { CACHE_MANAGER } from './cache-manager.token.js';
export { createCacheManager, type CacheManagerOptions } from './create-cache-manager.js';
