import { JUDGEMENT_MS, withinDeadline } from '../redis/index.js';
import { toMs } from '../config/index.js';
import { LoaderTimeoutError } from '../errors/index.js';
import type { EntryOptions } from './entry-options.js';
import type { Flight } from './flight.js';
import { outcomeOf, type LoadOutcome } from './outcomes.js';

/**
 * The time that one call may spend waiting for Redis, however many steps it takes: the deadline is a promise to the
 * caller, not to a command. The time of the loader, of a wait for another process's load, and of a wait behind this
 * process's own commands does not count.
 */
export class WaitBudget {
  constructor(
    /** The connection's deadline clock; any clock when no Redis is configured. */
    private readonly clock: { nowMs(): number },
    private readonly limitMs: number,
    /** The time waited before, in milliseconds. */
    private spentMs = 0,
    /** Called when a wait ends because the budget is used up. */
    private readonly onSpent: () => void = () => {},
  ) {}

  /**
   * Waits for `work` within the budget.
   * @returns its result, or `undefined` when the budget is used up first; `work` goes on then
   */
  wait<Result>(work: Promise<Result>): Promise<Result | undefined> {
    const { clock } = this;
    const startedAtMs = clock.nowMs();
    const dueAtMs = startedAtMs + this.limitMs - this.spentMs + JUDGEMENT_MS;
    const giveUp = (): undefined => {
      this.onSpent();
    };
    return withinDeadline(work, clock, dueAtMs, giveUp, {
      onEnd: () => {
        this.spentMs += clock.nowMs() - startedAtMs;
      },
    });
  }

  /** Resets the budget, after a wait that does not count. */
  renew(): void {
    this.spentMs = 0;
  }
}

type CallerLimits = Pick<EntryOptions, 'softTimeout' | 'hardTimeout' | 'staleIf' | 'signal'>;

/** Whether the options limit how long the caller waits for a load. */
export function hasLimits(options: CallerLimits | undefined): boolean {
  return (
    options !== undefined &&
    (options.softTimeout !== undefined || options.hardTimeout !== undefined || options.signal !== undefined)
  );
}

/**
 * Whether a stale value may be returned in place of an error of the loader. When `staleIf` throws, the caller gets the
 * error of the loader.
 */
export function allowsStale(limits: Pick<CallerLimits, 'staleIf'> | undefined, error: unknown): boolean {
  try {
    const verdict: unknown = limits?.staleIf?.(error);
    if (verdict instanceof Promise) {
      verdict.catch(() => {}); // async by mistake
      return false;
    }
    return verdict !== false;
  } catch {
    return false;
  }
}

/** Waits for `work` until the signal is aborted. @throws the reason of the signal then */
export function untilAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) {
      onAbort();
    }
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * Waits for a flight within the caller's own limits. The limits that the flight began with do not count, and the loader
 * may run in another process. Time in which the flight waits for Redis does not count: `deadlineMs` limits it.
 * @param result what the flight promises to this caller
 * @param isOwn whether the call began the flight: its loader, when it runs, is given up at the same time, and the
 * flight ends with it
 * @returns the outcome, or the stale value after a timeout.
 * @throws LoaderTimeoutError after `hardTimeout` without one
 */
export function withinLimits(
  flight: Flight,
  result: Promise<LoadOutcome>,
  limits: CallerLimits,
  isOwn: boolean,
): Promise<LoadOutcome> {
  const { softTimeout, hardTimeout } = limits;
  const softMs = softTimeout === undefined ? Infinity : toMs(softTimeout);
  const hardMs = hardTimeout === undefined ? Infinity : toMs(hardTimeout);
  const beganAtMs = performance.now();
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const endAtHardTimeout = (): void => {
      const error = new LoaderTimeoutError(hardMs);
      if (flight.stale !== undefined && allowsStale(limits, error)) {
        resolve(outcomeOf(flight.stale));
      } else {
        reject(error);
      }
    };
    const look = (): void => {
      const nowMs = performance.now();
      const { loadingSinceMs = nowMs, stale } = flight;
      const softLeftMs =
        stale === undefined && flight.loadingSinceMs !== undefined ? Infinity : loadingSinceMs + softMs - nowMs;
      const isLoaderTimed = isOwn && flight.isLoading;
      const hardLeftMs = isLoaderTimed ? Infinity : Math.max(loadingSinceMs, beganAtMs) + hardMs - nowMs;
      if (softLeftMs <= 0 && stale !== undefined) {
        resolve(outcomeOf(stale));
      } else if (hardLeftMs <= 0) {
        endAtHardTimeout();
      } else if (softLeftMs !== Infinity || hardLeftMs !== Infinity) {
        timer = setTimeout(look, Math.ceil(Math.min(softLeftMs, hardLeftMs)));
      }
    };
    result.then(resolve, reject).finally(() => clearTimeout(timer));
    look();
  });
}

/** Whether the flight ended at the `hardTimeout` of the call that began it, and this call has a longer one, or none. */
export function isTimeoutOfAnotherCall(flight: Flight, error: unknown, options: CallerLimits | undefined): boolean {
  const { timeoutError } = flight;
  return (
    timeoutError !== undefined &&
    timeoutError === error &&
    (options?.hardTimeout === undefined || toMs(options.hardTimeout) > timeoutError.timeoutMs)
  );
}

/** The options with the rest of `hardTimeout`: it limits the whole call, however many flights the call waits for. */
export function withTimeLeft<T>(options: EntryOptions<T> | undefined, spentMs: number): EntryOptions<T> | undefined {
  return options?.hardTimeout === undefined
    ? options
    : { ...options, hardTimeout: `${Math.max(1, Math.ceil(toMs(options.hardTimeout) - spentMs))}ms` };
}
