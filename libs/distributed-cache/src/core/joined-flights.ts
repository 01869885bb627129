import { FlightOutlivedError } from './caller-limits.js';
import type { Flight, FlightRegistry } from './flight-registry.js';
import type { LoadOutcome } from './load-outcome.js';
import { loadScopes } from './load-scope.js';

/** A flight that others have waited for so long may be waiting for itself. */
const SUSPICIOUS_MS = 1_000;

/** How the calls of one key share a flight, and for how long. */
export class JoinedFlights {
  constructor(private readonly flights: FlightRegistry<LoadOutcome>) {}

  /** The flight of this key that can be joined, if there is one; {@link resultOf} is what to wait for. */
  running(key: string): Flight | undefined {
    const flight = this.flights.runningFlight(key);
    if (flight === undefined || flight.joined !== undefined || !isOutlived(flight)) {
      return flight; // once it is joined a timer watches over its life
    }
    this.leaveBehind(key, flight);
    return undefined;
  }

  /**
   * What a call that joins a flight waits for: its result. A flight that lasts longer than a load is waited for is left to the call that
   * began it; the promise rejects with a `FlightOutlivedError`, and the calls that joined start anew.
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

  /** What it returns goes to the call that began it, and is not kept: the calls from now on start anew. */
  private leaveBehind(key: string, flight: Flight): void {
    this.flights.doubt(key, (each) => each === flight);
  }
}

/** How long the flight's loader runs, or it waits for another process's. */
function waitedMsOf({ loadingSinceMs }: Flight): number {
  return loadingSinceMs === undefined ? 0 : performance.now() - loadingSinceMs;
}

/** A flight that waits for another process is bounded by that one's lease. */
function isOutlived(flight: Flight): boolean {
  return flight.loadingSinceMs !== undefined && !flight.isWaiting && waitedMsOf(flight) >= flight.lifeMs;
}
