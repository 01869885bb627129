/** The smallest size of the window. */
const LEAST = 32;
/** The size of the window at the start: the connection has not been seen to carry more. */
const FIRST = 64;
/**
 * An answer that takes this many times longer than the quickest one is delayed by this process's own queued operations,
 * not by the path.
 */
const OWN_QUEUE_FACTOR = 3;

/**
 * Limits how many operations may be sent and unanswered at once. Additive increase, multiplicative decrease (Chiu and
 * Jain, Analysis of the Increase and Decrease Algorithms for Congestion Avoidance, 1989): the window is halved when an
 * answer takes a quarter of the deadline because of the operations before it, so that a busy server or machine makes
 * the queue longer and not the answers late. It grows by one for each answer within a sixteenth of the deadline, or
 * within twice the path's quickest answer. Several processes that grow at the same time then stay below the deadline
 * together.
 */
export class SendWindow {
  private current: number;
  private quickestMs = Infinity;
  private halvedAtMs = -Infinity;

  constructor(
    private readonly most: number,
    private readonly deadlineMs: number,
  ) {
    this.current = Math.min(FIRST, most);
  }

  get size(): number {
    return this.current;
  }

  /** An operation was answered, or has timed out. */
  onSettled(sentAtMs: number, nowMs: number): void {
    const tookMs = nowMs - sentAtMs;
    this.quickestMs = Math.min(this.quickestMs, tookMs);
    const isLate = tookMs > this.deadlineMs / 4 && tookMs > this.quickestMs * OWN_QUEUE_FACTOR;
    // At most one halving per window: operations that were sent before the last halving say nothing new.
    if (isLate && sentAtMs > this.halvedAtMs) {
      this.halvedAtMs = nowMs;
      this.current = Math.max(Math.min(LEAST, this.most), Math.floor(this.current / 2));
    } else if (this.current < this.most && tookMs < Math.max(this.deadlineMs / 16, this.quickestMs * 2)) {
      this.current++;
    }
  }
}
