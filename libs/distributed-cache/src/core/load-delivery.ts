import type { CacheKey } from '../keys/index.js';
import { readStored } from '../local/index.js';
import { hasLimits, isTimeoutOfAnotherCall, withinLimits, withTimeLeft } from './deadline.js';
import type { EntryOptions, Loader } from './entry-options.js';
import type { Flight } from './flight.js';
import { FlightOutlivedError, type Flights } from './flights.js';
import { LoadContext, runTimed } from './loader-run.js';
import type { LoadOutcome } from './outcomes.js';
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
    /** Begins a call anew. */
    private readonly getAgain: <T>(request: LoadRequest<T>) => Promise<T>,
  ) {}

  /** Gives the outcome to the call that began the load, and has no limits of its own. */
  async deliver<T>({ key }: LoadRequest<T>, flight: Flight): Promise<T> {
    let outcome: LoadOutcome;
    try {
      outcome = await flight.result;
    } catch (error) {
      this.countFailure(key, flight, false);
      throw error;
    }
    return this.read(key, outcome, false) as T;
  }

  /**
   * Gives the outcome to one call, within the limits of the call.
   * @param isJoined whether the load was under way already
   * @param endWait removes the record that the load of the calling loader waits for this load
   */
  async deliverInTime<T>(
    request: LoadRequest<T>,
    flight: Flight,
    isJoined: boolean,
    endWait: (() => void) | undefined,
  ): Promise<T> {
    const { key, options } = request;
    const startedAtMs = performance.now();
    const outcome = await this.outcomeInTime(request, flight, isJoined).finally(endWait);
    if (outcome !== undefined && (!isJoined || outcome.source === 'tier' || outcome.isShareable)) {
      return this.read(key, outcome, isJoined) as T;
    }
    const rest = { ...request, options: withTimeLeft(options, performance.now() - startedAtMs) };
    return outcome === undefined ? this.getAgain(rest) : this.loadAlone(rest);
  }

  /** Counts a call that fails before it has waited for a load, or with it. */
  countFailure(key: CacheKey, flight: Flight, isJoined: boolean): void {
    this.recorder.miss(key, { stale: flight.stale !== undefined, collapsed: isJoined, stored: false });
  }

  /**
   * Waits for the outcome of a load within the limits of one call.
   * @returns `undefined` when the call must start anew: it has joined a load that exceeds its life, or that ended by a
   * limit of the call that began it
   */
  private async outcomeInTime<T>(
    { key, encodedKey, options }: LoadRequest<T>,
    flight: Flight,
    isJoined: boolean,
  ): Promise<LoadOutcome | undefined> {
    try {
      const result = isJoined ? this.flights.join(encodedKey, flight) : flight.result;
      return await (options !== undefined && hasLimits(options)
        ? withinLimits(flight, result, options, !isJoined)
        : result);
    } catch (error) {
      if (!isJoined) {
        flight.onCallerGone();
      } else if (error instanceof FlightOutlivedError || isTimeoutOfAnotherCall(flight, error, options)) {
        return undefined;
      }
      this.countFailure(key, flight, isJoined);
      throw error;
    }
  }

  /**
   * Runs the loader of a call that has joined a load, beside other calls, and keeps nothing: the result of that load can
   * be given to one call only.
   */
  private async loadAlone<T>({ key, encodedKey, loader, options }: LoadRequest<T>): Promise<T> {
    const { runtime, recorder } = this;
    const context = new LoadContext(runtime.loadSignals, undefined);
    try {
      return await runTimed(loader, context, options?.hardTimeout, 0, runtime.clock, (durationMs, hasFailed) =>
        recorder.load(encodedKey, durationMs, hasFailed),
      );
    } finally {
      recorder.miss(key, { stale: false, collapsed: false, stored: false });
    }
  }

  /** Counts the outcome of a load for one call, and returns the value. */
  private read(key: CacheKey, outcome: LoadOutcome, isJoined: boolean): unknown {
    if (outcome.source === 'tier') {
      this.recorder.hit(key, outcome.tier, outcome.state, outcome.ttlMs);
    } else {
      this.recorder.miss(key, { stale: outcome.hadStale, collapsed: isJoined, stored: outcome.kept });
    }
    return readStored(outcome.stored);
  }
}
