/**
 * Injects the cache-manager `Cache`. The same token as that of `@nestjs/cache-manager`, so `@Inject(CACHE_MANAGER)` and its
 * `CacheInterceptor` work with either import.
 */
export const CACHE_MANAGER = 'CACHE_MANAGER';
