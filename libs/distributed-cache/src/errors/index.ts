export {
  CacheError,
  ConfigurationError,
  type ConfigurationProblem,
  CorruptEntryError,
  LoadCycleError,
  LoaderTimeoutError,
  type RefusalReason,
  ValueRefusedError,
} from './cache-errors.js';
export {
  TierDisconnectedError,
  TierReplyError,
  TierTimeoutError,
  TierUnavailableError,
  TierUnreplicatedError,
  type UnavailableReason,
} from './tier-errors.js';
