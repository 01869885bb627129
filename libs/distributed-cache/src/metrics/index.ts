export { RequestCacheUsage } from './request-cache-usage.js';
export { RouteMetrics, RouteUsage, type RouteMetricsOptions, type RouteUsageWire } from './route-metrics.js';
