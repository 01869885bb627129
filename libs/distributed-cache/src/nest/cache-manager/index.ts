export {
  CACHE_MANAGER,
  CACHE_MANAGER_NAMESPACE,
  type CacheManagerOptions,
  createCacheManager,
  withCacheManagerDefaults,
} from './create-cache-manager.js';
