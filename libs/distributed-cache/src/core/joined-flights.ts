import { FlightOutlivedError } from './caller-limits.js';
import type { Flight, FlightRegistry } from './flight-registry.js';
import type { LoadOutcome } from './load-outcome.js';
import { loadScopes } from './load-scope.js';

/** A flight that other calls have waited for this long, in milliseconds, may be waiting for itself. */
const SUSPICIOUS_MS = 1_000;

/** The rules by which calls for one key share a flight, and for how long. */
export class JoinedFlights {
  constructor(private readonly flights: FlightRegistry<LoadOutcome>) {}

  /** The flight of this key that can be joined, if there is one; {@link resultOf} is the promise to wait for. */
  running(key: string): Flight | undefined {
    const flight = this.flights.runningFlight(key);
    if (flight === undefined || flight.joined !== undefined || !isOutlived(flight)) {
      return flight; // after the first join a timer checks how long the flight lasts
    }
    this.leaveBehind(key, flight);
    return undefined;
  }

  /**
   * The promise that a joined call waits for: the result of the flight. When the flight lasts longer than calls wait
   * for a load, it is left to the call that began it: the promise rejects with a `FlightOutlivedError`, and the joined
   * calls start anew.
   */
  resultOf(key: string, flight: Flight): Promise<LoadOutcome> {
    flight.joined ??= this.join(key, flight, flight.result as Promise<LoadOutcome>);
    return flight.joined as Promise<LoadOutcome>;
  }

  private join(key: string, flight: Flight, result: Promise<LoadOutcome>): Promise<LoadOutcome> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const look = (): void => {
        const waitedMs = waitedMsOf(flight);
        if (waitedMs >= Math.min(SUSPICIOUS_MS, flight.lifeMs)) {
          loadScopes.suspect(2 * flight.lifeMs);
        }
        if (isOutlived(flight)) {
          this.leaveBehind(key, flight);
          reject(new FlightOutlivedError());
        } else {
          arm(waitedMs < SUSPICIOUS_MS ? SUSPICIOUS_MS - waitedMs : flight.lifeMs - waitedMs);
        }
      };
      const arm = (leftMs: number): void => {
        timer = setTimeout(look, Math.ceil(Math.min(Math.max(leftMs, 1), flight.lifeMs)));
        timer.unref();
      };
      const end = (): void => clearTimeout(timer);
      result.then(resolve, reject).then(end, end);
      arm(SUSPICIOUS_MS);
    });
  }

  /** Leaves a flight to the call that began it: its result is not kept, and later calls start anew. */
  private leaveBehind(key: string, flight: Flight): void {
    this.flights.doubt(key, (each) => each === flight);
  }
}

/**
 * How long the flight's loader has been running, or the flight has been waiting for another process's load, in
 * milliseconds.
 */
function waitedMsOf({ loadingSinceMs }: Flight): number {
  return loadingSinceMs === undefined ? 0 : performance.now() - loadingSinceMs;
}

/**
 * Whether a loader runs for longer than its flight may be joined, and may hold its lease. A flight that waits for another process is
 * limited by that process's lease.
 */
export function isOutlived(flight: Flight): boolean {
  const { loadingSinceMs, isWaiting, isInQueue, lifeMs } = flight;
  return loadingSinceMs !== undefined && !isWaiting && !isInQueue && waitedMsOf(flight) >= lifeMs;
}
