/** Before the first reply: small values, many to a command. */
const FIRST_GUESS_BYTES = 16_384;
/** The share of the newest replies in the estimate when they are smaller than it. */
const SHARE_OF_NEWEST = 0.25;

/**
 * Estimates how large the values are that Redis will reply with, in bytes, so that the replies that are under way can be bounded. The
 * estimate follows larger values at once and smaller ones gradually.
 */
export class ReplySize {
  private bytes = FIRST_GUESS_BYTES;

  get expectedBytes(): number {
    return this.bytes;
  }

  /** @param found the values of one reply; absent ones say nothing */
  learn(found: readonly (Buffer | null)[]): void {
    let [sum, count] = [0, 0];
    for (const value of found) {
      if (value !== null) {
        sum += value.length;
        count++;
      }
    }
    if (count === 0) {
      return;
    }
    const newest = sum / count;
    this.bytes = newest > this.bytes ? newest : this.bytes + (newest - this.bytes) * SHARE_OF_NEWEST;
  }
}
