export { DistributedCacheHealthModule } from './distributed-cache-health.module.js';
export { DistributedCacheHealthIndicator } from './distributed-cache.health-indicator.js';
