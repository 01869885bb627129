export { DistributedCacheHealthIndicator, DistributedCacheHealthModule } from './distributed-cache-health.js';
