import type { ReadResult } from './lookup.js';
import type { RedisRuntime } from './runtime.js';

/** The number of loads since the last wrong guess after which the expectation changes; see {@link FirstLook}. */
const SURE = 2;

/** Maximum number of leases that are being taken at once without a read before. */
const MOST_GUESSES = 32;

/**
 * Chooses how the loads of one namespace begin: with a plain read, or with the request for the lease, which also reads
 * the value. A read is cheaper, but one that finds nothing wastes a round trip. So the next load expects the outcome of
 * the last ones: branch prediction with a counter of two bits (Smith, A Study of Branch Prediction Strategies, ISCA
 * 1981). A wrong guess costs what a load without the guess would have cost, or a lease that is released; in a burst
 * that would be four commands instead of a share of one, so only a few loads of a burst guess.
 */
export class FirstLook {
  /** The counter: 0 and 1 expect a value; 2 and 3 expect none. */
  private misses = SURE - 1;
  private guesses = 0;

  constructor(
    private readonly redis: RedisRuntime | undefined,
    private readonly deadlineMs: number,
  ) {}

  /**
   * Whether a load begins with a plain read.
   * @param refreshBelowMs see `LoadCoordinator`: above 0 a value that is there is not enough
   */
  isDue(refreshBelowMs: number): boolean {
    if (this.redis === undefined) {
      return true; // the read is of L1
    }
    const { isLive, roundTripMs } = this.redis.connection;
    const isGuess = isLive && (this.misses >= SURE || roundTripMs > this.deadlineMs / 4);
    return refreshBelowMs === 0 && !(isGuess && this.guesses < MOST_GUESSES);
  }

  /** Counts a guess until it ends. @param taking the request for a lease without a read before; must not reject */
  guess(taking: Promise<unknown>): void {
    this.guesses++;
    void taking.then(() => this.guesses--);
  }

  /** Learns from what a load found first, by a read or with the lease. */
  learn({ found, stamps }: ReadResult): void {
    if (stamps !== undefined) {
      // otherwise Redis could not be asked
      this.misses = found === undefined ? Math.min(this.misses + 1, 2 * SURE - 1) : Math.max(this.misses - 1, 0);
    }
  }
}
