/**
 * The injection token of the cache-manager `Cache`. It equals that of `@nestjs/cache-manager`, so
 * `@Inject(CACHE_MANAGER)` and its `CacheInterceptor` work with either import.
 */
export const CACHE_MANAGER = 'CACHE_MANAGER';
