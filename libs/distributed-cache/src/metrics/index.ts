export { RequestCacheUsage, RouteMetrics, RouteUsage, type RouteMetricsOptions, type RouteUsageWire } from './usage.js';
