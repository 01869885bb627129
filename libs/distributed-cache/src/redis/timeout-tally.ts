import type { TimeoutVerdict } from './in-flight.js';

/** So many timeouts in a row, no answer between them, make a server that is too slow to use, although it shows life. */
const SLOW_TIMEOUTS_TO_OPEN = 5;

/** Decides from the timeouts of one server whether it can still be used. */
export class TimeoutTally {
  private inRow = 0;

  /** It has answered in time. */
  reset(): void {
    this.inRow = 0;
  }

  /** An operation has run into the deadline. @returns whether that is enough to do without the server from now on */
  isEnough(verdict: TimeoutVerdict): boolean {
    if (verdict === 'busy-process') {
      return false;
    }
    this.inRow++;
    return verdict === 'silent' || this.inRow >= SLOW_TIMEOUTS_TO_OPEN;
  }
}
