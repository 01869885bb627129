/** A source of time. Pass a fake one in tests. */
export interface Clock {
  /** Milliseconds since 1970; never goes back. */
  nowMs(): number;
}

const { timeOrigin: startedAtMs } = performance;
/** Bound once: reaching it through the global costs as much as the call. */
const sinceStartMs = performance.now.bind(performance);

/** The wall clock of the process's start plus the monotonic time since: setting the machine's clock changes no TTL. */
export const systemClock: Clock = {
  nowMs: () => startedAtMs + sinceStartMs(),
};

const RESOLUTION_MS = 1;

/**
 * A clock that is looked at once a millisecond: a look costs as much as the rest of an L1 hit. It stands still while the process is
 * held up (timers don't run then), so it may be late by as long as one turn of the event loop takes.
 */
export class CoarseClock implements Clock {
  private atMs = 0;
  private readonly forget = (): void => {
    this.atMs = 0;
  };

  constructor(private readonly clock: Clock) {}

  nowMs(): number {
    return this.atMs === 0 ? this.look() : this.atMs;
  }

  private look(): number {
    this.atMs = this.clock.nowMs();
    setTimeout(this.forget, RESOLUTION_MS).unref();
    return this.atMs;
  }
}
