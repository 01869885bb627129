import type { Clock } from '../core/index.js';

/** 2030-01-01, so that a time of this clock is not taken for the machine's by accident. */
const DEFAULT_START_MS = Date.UTC(2030, 0, 1);

/**
 * A clock that moves only when a test moves it, so that TTLs are tested without waiting. It controls the times that
 * this process measures (L1, loads, the fallback); Redis uses the clock of its own server.
 */
export class FakeClock implements Clock {
  private currentMs: number;

  /** @param startMs milliseconds since 1970; default: the beginning of 2030 */
  constructor(startMs = DEFAULT_START_MS) {
    this.currentMs = startMs;
  }

  nowMs(): number {
    return this.currentMs;
  }

  /**
   * Moves the clock forward.
   * @param durationMs milliseconds to move forward
   * @throws RangeError for a negative number: the cache's time never goes back
   */
  advance(durationMs: number): void {
    this.set(this.currentMs + durationMs);
  }

  /**
   * Sets the clock.
   * @param timeMs milliseconds since 1970
   * @throws RangeError for a time before the current one
   */
  set(timeMs: number): void {
    if (!(timeMs >= this.currentMs)) {
      throw new RangeError(`A clock never goes back: it is at ${this.currentMs} ms, got ${timeMs}`);
    }
    this.currentMs = timeMs;
  }
}
