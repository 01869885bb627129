export { createTestCache, type TestCache, type TestCacheOptions } from './create-test-cache.js';
export { FakeClock } from './fake-clock.js';
