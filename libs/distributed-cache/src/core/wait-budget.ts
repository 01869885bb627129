import { JUDGEMENT_MS, withinDeadline } from '../redis/index.js';

/**
 * The time that one call may spend waiting for Redis, however many steps it takes: the deadline is a promise to the caller,
 * not to a command. The loader's own time, waiting for another process's load, and waiting behind this process's own commands do not count.
 */
export class WaitBudget {
  constructor(
    /** The connection's deadline clock; any clock where there is no Redis. */
    private readonly clock: { nowMs(): number },
    private readonly limitMs: number,
    /** What has been waited for already. */
    private spentMs = 0,
  ) {}

  /** @returns what `work` resolves to, or `undefined` when the budget is used up first; `work` goes on then */
  async wait<Result>(work: Promise<Result>): Promise<Result | undefined> {
    const { clock } = this;
    const startedAtMs = clock.nowMs();
    try {
      const dueAtMs = startedAtMs + this.limitMs - this.spentMs + JUDGEMENT_MS;
      return await withinDeadline(work, clock, dueAtMs, () => undefined);
    } finally {
      this.spentMs += clock.nowMs() - startedAtMs;
    }
  }

  /** Starts anew, after something else was waited for. */
  renew(): void {
    this.spentMs = 0;
  }
}
