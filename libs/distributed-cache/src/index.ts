/**
 * The module, the decorators and the interceptors for Nest, and everything of `nestjs-distributed-cache/core`.
 *
 * @module nestjs-distributed-cache
 */

export * from './core/index.js';
export * from './nest/index.js';
