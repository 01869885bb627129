import { toMs } from '../config/index.js';
import type { CacheKey } from '../keys/index.js';
import { readStored } from '../local/index.js';
import { FlightOutlivedError, hasLimits, withinLimits, type CallerLimits } from './caller-limits.js';
import type { EntryLoader } from './entry-loader.js';
import type { EntryOptions, Loader } from './entry-options.js';
import type { Flight } from './flight-registry.js';
import type { LoadOutcome } from './load-outcome.js';
import { beginWait, loadScopes } from './load-scope.js';
import type { LookupRecorder } from './lookup-recorder.js';

/** The cache, for a call that starts anew. */
interface Caller<T> {
  getOrSet(key: CacheKey, loader: Loader<T>, options: EntryOptions<T> | undefined): Promise<T>;
}

/** Delivers the result of a flight to the callers of one namespace. */
export class Landing<T> {
  constructor(
    private readonly loads: EntryLoader,
    private readonly recorder: LookupRecorder,
    private readonly cache: Caller<T>,
  ) {}

  /** Joins the flight of a key that is not in L1 fresh, or begins one. */
  land(key: CacheKey, encodedKey: string, loader: Loader<T>, options: EntryOptions<T> | undefined): Promise<T> {
    const running = this.loads.joins.running(encodedKey);
    return running === undefined
      ? this.landOwn(key, encodedKey, this.loads.start(encodedKey, loader, options), loader, options)
      : this.landJoining(key, encodedKey, running, loader, options);
  }

  /** Waits for a flight on behalf of the call that began it. */
  private landOwn(
    key: CacheKey,
    encodedKey: string,
    flight: Flight,
    loader: Loader<T>,
    options: EntryOptions<T> | undefined,
  ): Promise<T> {
    const scope = loadScopes.current;
    return hasLimits(options) || scope !== undefined
      ? this.landWithin(key, encodedKey, flight, loader, options, false, scope && beginWait(scope, flight))
      : this.landed(key, flight.result as Promise<LoadOutcome>, false);
  }

  /**
   * Waits for a flight on behalf of a call that joins it. An end of the flight that concerns only the call that began
   * it does not end this call.
   */
  private landJoining(
    key: CacheKey,
    encodedKey: string,
    flight: Flight,
    loader: Loader<T>,
    options: EntryOptions<T> | undefined,
  ): Promise<T> {
    const scope = loadScopes.current;
    try {
      const endWait = scope === undefined ? undefined : beginWait(scope, flight);
      return this.landWithin(key, encodedKey, flight, loader, options, true, endWait);
    } catch (error) {
      const cycle: Promise<T> = Promise.reject(error);
      cycle.catch(() => {}); // a loader that does not wait for this call must not end the process by an unhandled rejection
      return cycle;
    }
  }

  /** Waits for a flight within the limits of the call. @param collapsed whether the flight was under way already */
  private async landWithin(
    key: CacheKey,
    encodedKey: string,
    flight: Flight,
    loader: Loader<T>,
    options: EntryOptions<T> | undefined,
    collapsed: boolean,
    endWait: (() => void) | undefined,
  ): Promise<T> {
    const startedAtMs = performance.now();
    try {
      const result = collapsed
        ? this.loads.joins.resultOf(encodedKey, flight)
        : (flight.result as Promise<LoadOutcome>);
      const limited =
        options !== undefined && hasLimits(options) ? withinLimits(flight, result, options, !collapsed) : result;
      return await this.landed(key, limited, collapsed);
    } catch (error) {
      if (!collapsed) {
        flight.isLeft = true;
        throw error;
      }
      if (!(error instanceof FlightOutlivedError || wasGivenUpForAnother(flight, error, options))) {
        throw error;
      }
    } finally {
      endWait?.();
    }
    return this.cache.getOrSet(key, loader, withTimeLeft(options, performance.now() - startedAtMs));
  }

  /** Counts the outcome and returns the value. @param collapsed whether the flight was under way already */
  private async landed(key: CacheKey, flight: Promise<LoadOutcome>, collapsed: boolean): Promise<T> {
    const outcome = await flight;
    if (outcome.source === 'tier') {
      this.recorder.hit(key, outcome.tier, outcome.state, outcome.ttlMs);
    } else {
      this.recorder.miss(key, { stale: outcome.hadStale, collapsed, stored: outcome.kept });
    }
    return readStored(outcome.stored) as T;
  }
}

/** Whether the flight ended at the `hardTimeout` of the call that began it, and this call has a longer one, or none. */
function wasGivenUpForAnother(flight: Flight, error: unknown, options: CallerLimits | undefined): boolean {
  const { givenUp } = flight;
  return (
    givenUp !== undefined &&
    givenUp === error &&
    (options?.hardTimeout === undefined || toMs(options.hardTimeout) > givenUp.timeoutMs)
  );
}

/** The options with the rest of `hardTimeout`: it limits the whole call, however many flights the call waits for. */
function withTimeLeft<T>(options: EntryOptions<T> | undefined, spentMs: number): EntryOptions<T> | undefined {
  return options?.hardTimeout === undefined
    ? options
    : { ...options, hardTimeout: `${Math.max(1, Math.ceil(toMs(options.hardTimeout) - spentMs))}ms` };
}
