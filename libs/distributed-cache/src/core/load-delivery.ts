import type { CacheKey } from '../keys/index.js';
import { areInOrder, toMs } from '../config/index.js';
import { LoaderTimeoutError } from '../errors/index.js';
import type { TracedOperation } from '../events/index.js';
import type { EntryOptions, Loader } from './entry-options.js';
import type { Flight } from './flight.js';
import { FlightOutlivedError, type Flights } from './flights.js';
import { LoadContext, runTimed } from './loader-run.js';
import { type LoadOutcome, outcomeOf } from './outcomes.js';
import type { LocalValues } from './local-tier.js';
import type { Recorder } from './recorder.js';
import type { CacheRuntime } from './runtime.js';

/** One call of `getOrSet`. */
export interface LoadRequest<T> {
  readonly key: CacheKey;
  readonly encodedKey: string;
  readonly loader: Loader<T>;
  readonly options: EntryOptions<T> | undefined;
  /** Only a value with a longer rest of its TTL is taken, in milliseconds; above 0 for a refresh before the expiry. */
  readonly minTtlMs: number;
  /** Whether the call has started anew, after the call that began its first load had been aborted. */
  readonly isRepeated: boolean;
  /** The lookup as it is traced; absent: nothing traces it. */
  readonly traced?: TracedOperation | undefined;
  /** Of a load in the background: what caused it. */
  readonly cause?: unknown;
}

/**
 * Gives the outcome of a load to each call that waits for it, and counts the call: a hit if a tier had the value, else a
 * miss, also when the load fails.
 */
export class LoadDelivery {
  constructor(
    private readonly runtime: CacheRuntime,
    private readonly flights: Flights,
    private readonly recorder: Recorder,
    private readonly values: LocalValues,
    /** Begins a call anew. */
    private readonly getAgain: <T>(request: LoadRequest<T>) => Promise<T>,
  ) {}

  /** Gives the outcome to the call that began the load, and has no limits of its own. */
  async deliver<T>(request: LoadRequest<T>, flight: Flight): Promise<T> {
    flight.addCall(undefined);
    let outcome: LoadOutcome;
    try {
      outcome = await flight.result;
    } catch (error) {
      this.countFailure(request.key, flight, false);
      throw error;
    }
    return this.read(request, outcome, false, flight.remoteWaitMs) as T;
  }

  /**
   * Gives the outcome to one call, within the limits of the call. A call that has joined runs its own loader, at once
   * and beside others, when it can't have the result. It starts anew when the load ends for a reason of another call; when
   * that happens to it twice by an `AbortError`, it runs its own loader too, so that loads don't queue up.
   * @param isJoined whether the load was under way already
   * @param endWait removes the record that the load of the calling loader waits for this load
   */
  async deliverInTime<T>(
    request: LoadRequest<T>,
    flight: Flight,
    isJoined: boolean,
    endWait: (() => void) | undefined,
  ): Promise<T> {
    const { options, traced } = request;
    const startedAtMs = options?.hardTimeout === undefined ? 0 : performance.now();
    if (isJoined && traced !== undefined) {
      Object.assign(traced, { collapsed: true });
    }
    let outcome: LoadOutcome | 'outlived' | 'aborted';
    try {
      outcome = await this.resultInTime(request, flight, isJoined);
    } catch (error) {
      outcome = this.reasonToRepeat(request, flight, isJoined, error);
    } finally {
      endWait?.();
      if (traced !== undefined) {
        traced.load = flight.traced;
      }
    }
    if (typeof outcome !== 'string' && (!isJoined || outcome.source === 'tier' || outcome.isShareable)) {
      const waitedMs = isJoined ? performance.now() - startedAtMs : flight.remoteWaitMs;
      return this.read(request, outcome, isJoined, waitedMs) as T;
    }
    const rest = { ...request, options: withTimeLeft(options, performance.now() - startedAtMs) };
    switch (outcome) {
      case 'outlived':
        return this.getAgain(rest);
      case 'aborted':
        return request.isRepeated ? this.loadAlone(rest) : this.getAgain({ ...rest, isRepeated: true });
      default:
        return this.loadAlone(rest);
    }
  }

  /** Counts a call that fails before it has waited for a load, or with it. */
  countFailure(key: CacheKey, flight: Flight, isJoined: boolean): void {
    this.recorder.miss(key, { stale: flight.stale !== undefined, collapsed: isJoined, stored: false });
  }

  /** The outcome of a load, within the limits of one call. */
  private resultInTime<T>(
    { encodedKey, options }: LoadRequest<T>,
    flight: Flight,
    isJoined: boolean,
  ): Promise<LoadOutcome> {
    flight.addCall(options?.signal);
    const result = isJoined ? this.flights.join(encodedKey, flight) : flight.result;
    if (options === undefined || !hasLimits(options)) {
      return result;
    }
    const limited = withinLimits(flight, result, options, !isJoined);
    return options.signal === undefined ? limited : untilAborted(limited, options.signal);
  }

  /**
   * Decides what a failed wait means for the call.
   * @returns for a call that has joined: `outlived` when the load exceeds its life, or has ended by a limit of the call
   * that began it; `aborted` when that call has been aborted, and the load with it
   * @throws the error, if it concerns this call
   */
  private reasonToRepeat<T>(
    { key, encodedKey, options }: LoadRequest<T>,
    flight: Flight,
    isJoined: boolean,
    error: unknown,
  ): 'outlived' | 'aborted' {
    const signal = options?.signal;
    if (!isJoined) {
      flight.onCallerGone(signal?.aborted === true ? signal.reason : undefined);
    }
    if (signal?.aborted === true) {
      if (flight.removeCall()) {
        this.flights.abandon(encodedKey, flight, signal.reason);
      }
    } else if (isJoined && (error instanceof FlightOutlivedError || isTimeoutOfAnotherCall(flight, error, options))) {
      return 'outlived';
    } else if (isJoined && this.isAbortOfCaller(flight, error)) {
      return 'aborted';
    }
    this.countFailure(key, flight, isJoined);
    throw error;
  }

  /**
   * Runs the loader of a call that has joined a load, beside other calls, and keeps nothing: the result of that load can
   * be given to one call only, or a second load has been aborted by its own call.
   */
  private async loadAlone<T>({ key, encodedKey, loader, options, traced }: LoadRequest<T>): Promise<T> {
    const { runtime, recorder } = this;
    const context = new LoadContext(runtime.loadSignals, undefined);
    const signal = options?.signal;
    try {
      const running = runtime.tracing.trace('load', 'getOrSet', recorder.namespace, [key], (operation) => {
        if (traced !== undefined) {
          traced.load = operation;
        }
        return runTimed(loader, context, options?.hardTimeout, 0, runtime.clock, (durationMs, ended) =>
          recorder.load(encodedKey, durationMs, ended),
        );
      });
      return await (signal === undefined ? running : untilAborted(running, signal));
    } finally {
      if (signal?.aborted === true) {
        context.abandon(signal.reason);
      }
      recorder.miss(key, { stale: false, collapsed: false, stored: false });
    }
  }

  /**
   * Whether a loader has ended because its own client went away: its error is the reason of the signal of the call that
   * began the load, or an `AbortError`, as `fetch` throws it when a signal is aborted.
   */
  private isAbortOfCaller(flight: Flight, error: unknown): boolean {
    const isAbort = flight.hasEndedWithCaller(error) || (error instanceof Error && error.name === 'AbortError');
    return isAbort && !this.runtime.closing.aborted;
  }

  /** Counts the outcome of a load for one call, and returns the value. */
  private read<T>(
    { key, options, traced }: LoadRequest<T>,
    outcome: LoadOutcome,
    isJoined: boolean,
    waitedMs: number,
  ): unknown {
    if (traced !== undefined) {
      fillIn(traced, outcome, isJoined, waitedMs);
    }
    countOutcome(this.recorder, key, outcome, isJoined);
    return this.values.read(outcome.stored, options?.values);
  }
}

/** Counts a call whose load has ended: a hit if a tier had the value. @param isJoined whether it was under way before */
export function countOutcome(recorder: Recorder, key: CacheKey, outcome: LoadOutcome, isJoined: boolean): void {
  if (outcome.source === 'tier') {
    recorder.hit(key, outcome.tier, outcome.state, outcome.ttlMs, outcome.loadMs);
  } else {
    recorder.miss(key, { stale: outcome.hadStale, collapsed: isJoined, stored: outcome.kept });
  }
}

type CallerLimits = Pick<EntryOptions, 'softTimeout' | 'hardTimeout' | 'staleIf' | 'signal'>;

/** Fills in the outcome of a traced lookup. */
function fillIn(traced: TracedOperation, outcome: LoadOutcome, isJoined: boolean, waitedMs: number): void {
  if (waitedMs > 0) {
    traced.waitedMs = waitedMs;
  }
  if (outcome.source === 'tier') {
    const { tier, state, ttlMs, storedBytes } = outcome;
    Object.assign(traced, { hit: true, tier, state, ttlMs, itemBytes: storedBytes });
  } else {
    const state = outcome.hadStale ? 'stale' : 'missing';
    Object.assign(traced, { hit: false, state, collapsed: isJoined, stored: outcome.kept });
  }
}

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
function untilAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
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
function withinLimits(
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
    const check = (): void => {
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
        timer = setTimeout(check, Math.ceil(Math.min(softLeftMs, hardLeftMs)));
      }
    };
    result.then(resolve, reject).finally(() => clearTimeout(timer));
    check();
  });
}

/** Whether the flight ended at the `hardTimeout` of the call that began it, and this call has a longer one, or none. */
function isTimeoutOfAnotherCall(flight: Flight, error: unknown, options: CallerLimits | undefined): boolean {
  const { timeoutError } = flight;
  return (
    timeoutError !== undefined &&
    timeoutError === error &&
    (options?.hardTimeout === undefined || toMs(options.hardTimeout) > timeoutError.timeoutMs)
  );
}

/** The options with the rest of `hardTimeout`: it limits the whole call, however many flights the call waits for. */
function withTimeLeft<T>(options: EntryOptions<T> | undefined, spentMs: number): EntryOptions<T> | undefined {
  if (options?.hardTimeout === undefined) {
    return options;
  }
  const { softTimeout } = options;
  const hardTimeout = `${Math.max(1, Math.ceil(toMs(options.hardTimeout) - spentMs))}ms` as const;
  return areInOrder(softTimeout, hardTimeout)
    ? { ...options, hardTimeout }
    : { ...options, softTimeout: hardTimeout, hardTimeout };
}
