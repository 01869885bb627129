import { CacheError } from './cache-errors.js';

/** Why a tier can't be used right now. */
export type UnavailableReason = 'not-connected' | 'breaker-open' | 'overloaded' | 'closed';

/**
 * The tier is known to be unusable: the command was not sent, or its answer is not awaited any more. Unless `wasSent`,
 * nothing took effect.
 */
export class TierUnavailableError extends CacheError {
  override readonly name = 'TierUnavailableError';
  readonly code = 'CACHE_TIER_UNAVAILABLE';

  constructor(
    readonly operation: string,
    readonly reason: UnavailableReason,
    /** Whether the command had been sent by then: it may have taken effect. */
    readonly wasSent = false,
  ) {
    super(`${operation} was not sent: Redis can't be used (${reason})`);
  }
}

/** The tier did not answer in time, or the connection ended first. The operation may still have taken effect. */
export class TierTimeoutError extends CacheError {
  override readonly name = 'TierTimeoutError';
  readonly code = 'CACHE_TIER_TIMEOUT';

  constructor(
    readonly operation: string,
    readonly timeoutMs: number,
  ) {
    super(`${operation} got no answer in ${timeoutMs} ms (deadlineMs)`);
  }
}

/** The connection ended while the command was on its way. The operation may still have taken effect. */
export class TierDisconnectedError extends CacheError {
  override readonly name = 'TierDisconnectedError';
  readonly code = 'CACHE_TIER_DISCONNECTED';

  constructor(readonly operation: string) {
    super(`${operation} lost its connection to Redis before the answer`);
  }
}

/** The master has acknowledged a change, but no replica has in time (`strict`): a failover now could undo it. */
export class TierUnreplicatedError extends CacheError {
  override readonly name = 'TierUnreplicatedError';
  readonly code = 'CACHE_TIER_UNREPLICATED';

  constructor(
    readonly operation: string,
    readonly waitMs: number,
  ) {
    super(`${operation} has reached the master and no replica within ${waitMs} ms (strict)`);
  }
}

/** Redis answered with an error. Only its first word (`OOM`, `READONLY`, `NOAUTH`, ...) is kept. */
export class TierReplyError extends CacheError {
  override readonly name = 'TierReplyError';
  readonly code = 'CACHE_TIER_REPLY';

  constructor(
    readonly operation: string,
    readonly reply: string,
    /** The name of the command that was refused, when it is known. */
    readonly command?: string,
    /**
     * Whether Redis refuses this command for now (`NOPERM`, `READONLY`, an unknown command, ...). Another
     * command, or the same one later, may succeed. Other arguments make no difference.
     */
    readonly isRefusal: boolean = false,
  ) {
    super(`${operation} was refused by Redis: ${reply}`);
  }
}
