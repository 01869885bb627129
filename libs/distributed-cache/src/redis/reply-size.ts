/** The estimate before the first reply: small values, many per command. */
const FIRST_GUESS_BYTES = 16_384;
/** The weight of the newest reply in the estimate when its values are smaller than the estimate. */
const SHARE_OF_NEWEST = 0.25;

/**
 * Estimates the size of the values in Redis's replies, in bytes, so that the total of the replies under way can be
 * limited. The estimate follows larger values at once and smaller ones gradually.
 */
export class ReplySize {
  private bytes = FIRST_GUESS_BYTES;

  get expectedBytes(): number {
    return this.bytes;
  }

  /** Updates the estimate. @param found the values of one reply; missing ones do not count */
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
