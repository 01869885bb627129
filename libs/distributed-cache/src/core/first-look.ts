import type { ReadResult } from './entry-reader.js';
import type { RedisRuntime } from './cache-runtime.js';

/** The loads since the last wrong guess that it takes to change one's mind; see {@link FirstLook}. */
const SURE = 2;

/** So many leases at most are being taken at once without a look before. */
const MOST_GUESSES = 32;

/**
 * Chooses how the loads of one namespace begin: with a plain read, or with the lease at once, which reads the value on the way. A read
 * is cheaper, but one that finds nothing is a round trip for nothing. So the next load expects what the last ones met: branch
 * prediction with a counter of two bits (Smith, A Study of Branch Prediction Strategies, ISCA 1981). A wrong guess costs what a
 * load without it would have cost, or a lease that is given back; in a burst that would be four commands instead of a share of one, so
 * only a few of its loads guess.
 */
export class FirstLook {
  /** 0 and 1: the value will be there; 2 and 3: it will not. */
  private misses = SURE - 1;
  private guesses = 0;

  constructor(
    private readonly redis: RedisRuntime | undefined,
    private readonly deadlineMs: number,
  ) {}

  /** @param refreshBelowMs see `EntryLoader`: a value that is there is not enough */
  isDue(refreshBelowMs: number): boolean {
    if (this.redis === undefined) {
      return true; // at L1
    }
    const { isLive, roundTripMs } = this.redis.connection;
    const isGuess = isLive && (this.misses >= SURE || roundTripMs > this.deadlineMs / 4);
    return refreshBelowMs === 0 && !(isGuess && this.guesses < MOST_GUESSES);
  }

  /** @param taking a lease, without a look before. Must not reject */
  guess(taking: Promise<unknown>): void {
    this.guesses++;
    void taking.then(() => this.guesses--);
  }

  /** What a load met first, whether by reading or by taking the lease. */
  learn({ found, stamps }: ReadResult): void {
    if (stamps !== undefined) {
      // else Redis could not be asked
      this.misses = found === undefined ? Math.min(this.misses + 1, 2 * SURE - 1) : Math.max(this.misses - 1, 0);
    }
  }
}
