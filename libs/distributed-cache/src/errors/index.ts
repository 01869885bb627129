export { CacheError } from './cache-error.js';
export { ConfigurationError, type ConfigurationProblem } from './configuration-error.js';
export { LoadCycleError } from './load-cycle-error.js';
export { LoaderTimeoutError } from './loader-timeout-error.js';
export {
  TierDisconnectedError,
  TierReplyError,
  TierTimeoutError,
  TierUnavailableError,
  TierUnreplicatedError,
  type UnavailableReason,
} from './tier-errors.js';
export { CorruptEntryError, ValueRefusedError, type RefusalReason } from './value-errors.js';
