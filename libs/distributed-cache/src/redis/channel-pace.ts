import { reconnectDelayMs } from './client-options.js';

/** How long the subscriber waits for the data connection to open first, in milliseconds. */
const DATA_FIRST_MS = 1000;
const FAILURE_FIRST_MS = 100;
const FAILURE_MOST_MS = 5000;
/** How many splits in a row move the data connection. */
const SPLITS_TO_MOVE = 3;
const REFUSAL_FIRST_MS = 1000;
const REFUSAL_MOST_MS = 60_000;

/**
 * Decides when the set-up of an invalidation channel is tried again. A lost connection is retried as fast as any other,
 * since an outage must end quickly. A path that could not be proven, or a login that was refused, is retried with a
 * delay that doubles with each failure in a row. An open connection proves neither, so only a proof resets that delay.
 * A refused command is tried again seldom.
 */
export class RetryPace {
  private failures = 0;
  private splits = 0;
  private splitsToMove = SPLITS_TO_MOVE;
  private refusals = 0;
  private isLoginRefused = false;
  /** Whether a login has been refused since the last proof: the next socket says nothing about the server then. */
  wasLoginRefused = false;
  private hurries = false;

  /** The server is back: an attempt that failed just before is repeated without a delay, once. */
  hurry(): void {
    this.hurries = true;
  }

  /** A socket has opened; its login follows. */
  onConnect(): void {
    this.isLoginRefused = false;
  }

  /** The server refuses the login of this socket; later failures on the same socket have that cause. */
  onLoginRefused(): void {
    if (!this.isLoginRefused) {
      this.isLoginRefused = true;
      this.wasLoginRefused = true;
      this.failures++;
    }
  }

  /** Counts a failure of the path. @returns whether the failure has a cause of its own, other than a refused login */
  onFailure(): boolean {
    if (this.isLoginRefused) {
      return false;
    }
    this.failures++;
    return true;
  }

  /**
   * Counts an attempt that has found the two connections at different servers.
   * @returns whether the data connection must move too: it may be at a former master, which new connections no longer
   * reach, and a process that only reads would stay there. More and more seldom, as it may be the address that is split
   */
  onSplit(): boolean {
    if (++this.splits < this.splitsToMove) {
      return false;
    }
    this.splitsToMove *= 4;
    return true;
  }

  onProven(isRefused: boolean): void {
    this.failures = 0;
    this.wasLoginRefused = false;
    this.splits = 0;
    this.splitsToMove = SPLITS_TO_MOVE;
    this.refusals = isRefused ? this.refusals + 1 : 0;
  }

  /**
   * The delay before an attempt to connect, in milliseconds. While the data connection is not open it goes first: a
   * server that has room for one of the two is then used. Its opening ends the delay ({@link hurry}).
   * @param attempt its number, counted since the last successful one
   * @param isServerUp whether the data connection is open
   */
  reconnectMs(attempt: number, isServerUp: boolean): number {
    const { failures, hurries } = this;
    this.hurries = false;
    if (hurries && isServerUp) {
      return 1;
    }
    return Math.max(
      isServerUp ? reconnectDelayMs(attempt) : DATA_FIRST_MS,
      failures === 0 ? 0 : backoffMs(failures, FAILURE_FIRST_MS, FAILURE_MOST_MS),
    );
  }

  refusalMs(): number {
    return backoffMs(this.refusals, REFUSAL_FIRST_MS, REFUSAL_MOST_MS);
  }
}

/** An exponential delay with a jitter of a quarter each way. */
function backoffMs(attempt: number, firstMs: number, mostMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(attempt - 1, 16), mostMs) * (0.75 + Math.random() * 0.5);
}

/** The real clocks, captured once: a test that fakes the time is no process that was stopped. */
const monotonicNowMs = performance.now.bind(performance);
const RealDate = Date;

/** One moment, on both clocks. */
interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/**
 * Measures how long ago something was proven, by the clock that shows the longer time: the monotonic clock stops while
 * the machine sleeps, and the wall clock may be set back.
 */
export class ProofAge {
  private provenAt: Moment = { monotonicMs: -Infinity, wallMs: -Infinity };

  constructor(
    private readonly monotonicMs: () => number = monotonicNowMs,
    private readonly wallMs: () => number = () => RealDate.now(),
  ) {}

  get ageMs(): number {
    const { provenAt } = this;
    return Math.max(this.monotonicMs() - provenAt.monotonicMs, this.wallMs() - provenAt.wallMs);
  }

  /**
   * Returns the present moment; to be called before the proof, which says nothing about the time after its beginning.
   */
  begin(): Moment {
    return { monotonicMs: this.monotonicMs(), wallMs: this.wallMs() };
  }

  end(beginning: Moment): void {
    this.provenAt = beginning;
  }
}
