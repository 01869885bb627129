/**
 * The admin page of the cache, for applications of Nest on Express or Fastify.
 *
 * @module nestjs-distributed-cache/dashboard
 */

export { DistributedCacheDashboardModule } from './dashboard.module.js';
export type { DashboardOptions, DashboardRequest } from './options.js';
