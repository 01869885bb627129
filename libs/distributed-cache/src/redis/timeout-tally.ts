import type { TimeoutVerdict } from './in-flight.js';

/**
 * Number of timeouts in a row, without an answer between them, after which a server counts as too slow to use, although
 * it shows signs of life.
 */
const SLOW_TIMEOUTS_TO_OPEN = 5;

/** Counts the timeouts of one server and decides whether it can still be used. */
export class TimeoutTally {
  private inRow = 0;

  /** An operation was answered in time. */
  reset(): void {
    this.inRow = 0;
  }

  /** An operation has reached its deadline. @returns whether the server is to be given up */
  isEnough(verdict: TimeoutVerdict): boolean {
    if (verdict === 'busy-process') {
      return false;
    }
    this.inRow++;
    return verdict === 'silent' || this.inRow >= SLOW_TIMEOUTS_TO_OPEN;
  }
}
