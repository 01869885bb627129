/**
 * Base class of every error of this library. `code` is stable across releases and safe to switch on; messages may
 * change. No message, field or `cause` carries a cached value, a password or (except in `LoadCycleError`) a full key:
 * Redis clients attach the whole command to their errors, so those errors are never passed on.
 */
export abstract class CacheError extends Error {
  abstract readonly code: string;
}

/** One mistake in the options or the environment. */
export interface ConfigurationProblem {
  /** The option's path (`local.maxMemoryMb`) or the variable's name (`REDIS_PORT`). */
  readonly name: string;
  /** The value as given, shortened; secrets are shown as `***`. */
  readonly value: string;
  /** The values that are accepted. */
  readonly allowed: string;
}

/** The configuration is wrong. Thrown at the start, before any connection is opened; it names every mistake at once. */
export class ConfigurationError extends CacheError {
  override readonly name = 'ConfigurationError';
  readonly code = 'CACHE_CONFIGURATION';

  constructor(readonly problems: readonly ConfigurationProblem[]) {
    const lines = problems.map(({ name, value, allowed }) => `  ${name}: got ${value}, allowed: ${allowed}`);
    super(
      `${problems.length === 1 ? '1 mistake' : `${problems.length} mistakes`} in the cache configuration\n${lines.join('\n')}`,
    );
  }
}

/**
 * The check of the decorated methods at the start has findings, and `strictStart` is set. Thrown before any connection
 * is opened.
 */
export class StartCheckError extends CacheError {
  override readonly name = 'StartCheckError';
  readonly code = 'CACHE_START_CHECK';

  constructor(readonly findings: readonly string[]) {
    super(
      `The check of the cache at the start (strictStart) has findings:${findings.map((text) => `\n  ${text}`).join('')}`,
    );
  }
}

/** Why a value is not cached. */
export type RefusalReason = 'unserializable' | 'class' | 'too-large' | 'too-deep';

/** No tier can store the value: it is returned to its caller and not cached. */
export class ValueRefusedError extends CacheError {
  override readonly name = 'ValueRefusedError';
  readonly code = 'CACHE_VALUE_REFUSED';

  constructor(
    readonly reason: RefusalReason,
    detail: string,
    /** The name of the class whose instances, or a part of whose instance, can't be kept. */
    readonly className?: string,
  ) {
    super(`The value is not cached (${reason}): ${detail}`);
  }
}

/** Stored bytes are not an entry that this version can read. The read counts as a miss. */
export class CorruptEntryError extends CacheError {
  override readonly name: string = 'CorruptEntryError';
  readonly code: string = 'CACHE_ENTRY_CORRUPT';

  constructor(detail: string) {
    super(`The stored entry can't be read: ${detail}`);
  }
}

/**
 * An entry holds an instance of a class that this process does not know: it has stored no instance of it, and the class
 * is neither registered nor declared. The read counts as a miss, and not as an error.
 */
export class UnknownClassError extends CorruptEntryError {
  override readonly name = 'UnknownClassError';
  override readonly code = 'CACHE_CLASS_UNKNOWN';
  /** The stored name of the class; `undefined` when the text does not look like a name. */
  readonly className: string | undefined;

  constructor(className: string) {
    const shown = /^[A-Za-z_$][\w$.:-]{0,60}$/.test(className) ? className : undefined;
    super(`this process does not know its class${shown === undefined ? '' : ` ${shown}`}`);
    this.className = shown;
  }
}

/**
 * A call has waited for a load for longer than its `hardTimeout`. If its own loader was running, the loader's signal is
 * aborted, and its later result is dropped.
 */
export class LoaderTimeoutError extends CacheError {
  override readonly name = 'LoaderTimeoutError';
  readonly code = 'CACHE_LOADER_TIMEOUT';

  constructor(readonly timeoutMs: number) {
    super(`The load was not done in ${timeoutMs} ms (hardTimeout)`);
  }
}

/**
 * A loader requests the key that it is loading, directly or through the loaders of other keys: it would wait for itself.
 * The innermost call rejects, and the error passes through the loaders to every caller. Only this error carries whole
 * keys.
 */
export class LoadCycleError extends CacheError {
  override readonly name = 'LoadCycleError';
  readonly code = 'CACHE_LOAD_CYCLE';

  /** @param keys `namespace:key` of each load that waits for the next one; the last one equals the first */
  constructor(readonly keys: readonly string[]) {
    super(`The load of a key waits for itself: ${keys.join(' -> ')}`);
  }
}

/** Why a tier can't be used right now. */
export type UnavailableReason = 'not-connected' | 'breaker-open' | 'overloaded' | 'closed';

/** Redis can't be used, as the connection knows: the command was not sent, or its answer is not waited for any more. */
export class TierUnavailableError extends CacheError {
  override readonly name = 'TierUnavailableError';
  readonly code = 'CACHE_TIER_UNAVAILABLE';

  constructor(
    readonly operation: string,
    readonly reason: UnavailableReason,
    /** Whether the command had been sent by then: it may have taken effect. Otherwise nothing has changed. */
    readonly wasSent = false,
  ) {
    const fact = wasSent ? 'was sent, and its answer is not waited for' : 'was not sent';
    super(`${operation} ${fact}: Redis can't be used (${reason})`);
  }
}

/** The tier did not answer in time. The operation may still have taken effect. */
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

/** Redis can't be used at the start of the application, which needs it (`requireRedis: 'at-start'`). */
export class RedisRequiredError extends CacheError {
  override readonly name = 'RedisRequiredError';
  readonly code = 'CACHE_REDIS_REQUIRED';

  /** @param place the address of Redis and its origin, without user and password */
  constructor(
    readonly place: string,
    cause: string,
  ) {
    super(
      `The application does not start (requireRedis: 'at-start'): ${place}: ${cause}. ` +
        'Start Redis, correct the address, or set requireRedis to true or false',
    );
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
