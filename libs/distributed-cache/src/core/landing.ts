import { toMs } from '../config/index.js';
import type { CacheEvents } from '../events/index.js';
import { PreparedKey, type CacheKey } from '../keys/index.js';
import { readStored } from '../local/index.js';
import { FlightOutlivedError, hasLimits, withinLimits, type CallerLimits } from './caller-limits.js';
import type { EntryLoader } from './entry-loader.js';
import { hasOwnKey, type EntryOptions, type Loader } from './entry-options.js';
import type { Flight } from './flight-registry.js';
import type { LoadOutcome } from './load-outcome.js';
import { beginWait, loadScopes } from './load-scope.js';
import type { LocalView } from './local-view.js';
import type { LookupRecorder } from './lookup-recorder.js';

/** The cache, for a call that starts anew. */
interface Caller<T> {
  getOrSet(key: CacheKey, loader: Loader<T>, options: EntryOptions<T> | undefined): Promise<T>;
}

interface Observation {
  readonly isObserved: boolean;
}

/** How the callers of one namespace get what a flight has found. */
export class Landing<T> {
  private readonly hits: Observation;
  private readonly misses: Observation;

  constructor(
    private readonly local: LocalView,
    private readonly loads: EntryLoader,
    private readonly recorder: LookupRecorder,
    private readonly cache: Caller<T>,
    events: CacheEvents,
  ) {
    this.hits = events.observation('hit');
    this.misses = events.observation('miss');
  }

  /** Joins the flight of a key that is not there fresh, or begins one. */
  land(key: CacheKey, encodedKey: string, loader: Loader<T>, options: EntryOptions<T> | undefined): Promise<T> {
    const running = this.loads.joins.running(encodedKey);
    return running === undefined
      ? this.landOwn(key, encodedKey, this.loads.start(encodedKey, loader, options), loader, options)
      : this.landJoining(key, encodedKey, running, loader, options);
  }

  /** For the call that began the flight. */
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

  /** For a call that joins a flight under way. What ends that flight for the call that began it does not end it for this one. */
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
      cycle.catch(() => {}); // a loader that does not wait for this call does not end the process by it
      return cycle;
    }
  }

  /** @param collapsed whether the flight was under way already */
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

  /** @param collapsed whether the flight was under way already */
  private async landed(key: CacheKey, flight: Promise<LoadOutcome>, collapsed: boolean): Promise<T> {
    const outcome = await flight;
    if (outcome.source === 'tier') {
      this.recorder.hit(key, outcome.tier, outcome.state, outcome.ttlMs);
    } else {
      this.recorder.miss(key, { stale: outcome.hadStale, collapsed, stored: outcome.kept });
    }
    return readStored(outcome.stored) as T;
  }

  /**
   * The way of a thousand callers of one missing key, all but the first: who has not found it at a glance joins the load that is under
   * way, without a closer look, and with nothing of its own but the promise. `undefined`: it takes that look.
   */
  join(key: CacheKey, loader: Loader<T>, options: EntryOptions<T> | undefined): Promise<T> | undefined {
    if (loadScopes.current !== undefined || this.hits.isObserved || this.misses.isObserved || !this.local.hearsAll()) {
      return undefined; // somebody is told which key it was; or memory may answer that would not have before
    }
    if (typeof key !== 'string') {
      return key instanceof PreparedKey ? this.joinNamed(key, key.encoded, loader, options) : undefined;
    }
    return options !== undefined && hasOwnKey(options) ? undefined : this.joinNamed(key, key, loader, options);
  }

  private joinNamed(
    key: CacheKey,
    encodedKey: string,
    loader: Loader<T>,
    options: EntryOptions<T> | undefined,
  ): Promise<T> | undefined {
    return hasLimits(options)
      ? undefined
      : this.loads.joins.joinable(encodedKey)?.then(this.landJoined, this.whenLost(key, loader, options));
  }

  private whenLost(
    key: CacheKey,
    loader: Loader<T>,
    options: EntryOptions<T> | undefined,
  ): (error: unknown) => Promise<T> {
    return (error) => {
      if (error instanceof FlightOutlivedError) {
        return this.cache.getOrSet(key, loader, options);
      }
      throw error;
    };
  }

  private readonly landJoined = (outcome: LoadOutcome): T => {
    if (outcome.source === 'tier') {
      this.recorder.countHit(outcome.tier, outcome.state);
    } else {
      this.recorder.countMiss();
    }
    return readStored(outcome.stored) as T;
  };
}

/** Whether the flight ended at the `hardTimeout` of the call that began it, and this call is more patient. */
function wasGivenUpForAnother(flight: Flight, error: unknown, options: CallerLimits | undefined): boolean {
  const { givenUp } = flight;
  return (
    givenUp !== undefined &&
    givenUp === error &&
    (options?.hardTimeout === undefined || toMs(options.hardTimeout) > givenUp.timeoutMs)
  );
}

/** `hardTimeout` bounds the whole call, however many flights it waits for. */
function withTimeLeft<T>(options: EntryOptions<T> | undefined, spentMs: number): EntryOptions<T> | undefined {
  return options?.hardTimeout === undefined
    ? options
    : { ...options, hardTimeout: `${Math.max(1, Math.ceil(toMs(options.hardTimeout) - spentMs))}ms` };
}
