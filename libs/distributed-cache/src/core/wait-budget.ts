import type { Clock } from '../local/index.js';

/** So little may have been waited before a timer is worth its while: up to here the connection's own deadline is enough. */
const SLACK_MS = 10;

/**
 * The time that one call may spend waiting for Redis, however many steps it takes: the deadline is a promise to the caller,
 * not to a command. The loader's own time, and waiting for another process's load, do not count.
 */
export class WaitBudget {
  constructor(
    private readonly clock: Clock,
    private readonly limitMs: number,
    /** What has been waited for already. */
    private spentMs = 0,
  ) {}

  /** @returns what `work` resolves to, or `undefined` when the budget is used up first; `work` goes on then */
  async wait<Result>(work: Promise<Result>): Promise<Result | undefined> {
    const startedAtMs = this.clock.nowMs();
    try {
      return await (this.spentMs <= SLACK_MS ? work : this.race(work));
    } finally {
      this.spentMs += this.clock.nowMs() - startedAtMs;
    }
  }

  /** Starts anew, after something else was waited for. */
  renew(): void {
    this.spentMs = 0;
  }

  private race<Result>(work: Promise<Result>): Promise<Result | undefined> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, Math.max(0, this.limitMs - this.spentMs), undefined);
      work.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }
}
