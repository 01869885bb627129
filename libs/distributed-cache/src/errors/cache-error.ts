/**
 * Base class of every error of this library. `code` is stable across releases and safe to switch on; messages may
 * change. No message, field or `cause` carries a cached value, a password or (except in `LoadCycleError`) a full key:
 * client libraries attach the whole command to their errors, so those are never passed on.
 */
export abstract class CacheError extends Error {
  abstract readonly code: string;
}
