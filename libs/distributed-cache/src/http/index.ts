export {
  CachedResponse,
  PurgesResponses,
  type PurgesResponsesOptions,
} from './decorators/cached-response.decorator.js';
export { ResponseCache, type ResponseControl, type Validators } from './response-control.js';
export { HttpCache } from './http-cache.js';
export { HttpCacheModule } from './module/http-cache.module.js';
export type { PurgeEndpoint } from './module/purge-endpoint.js';
export type { ExplainedRequest, ResponseExplanation } from './module/url-entries.js';
export type {
  CachedRequest,
  CachedResponseOptions,
  ClientRule,
  HandlerResponse,
  HttpCacheOptions,
  HttpCacheOptionsFactory,
} from './module/options.js';
export type { QueryRule, VaryValue } from './entry/response-key.js';
export type { TagField } from './rules/invalidation.js';
export type { RulesProfile } from './rules/storability.js';
