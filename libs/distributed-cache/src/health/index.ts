/**
 * The health indicator for `@nestjs/terminus`.
 *
 * @module nestjs-distributed-cache/health
 */

export { DistributedCacheHealthIndicator, DistributedCacheHealthModule } from './distributed-cache-health.js';
