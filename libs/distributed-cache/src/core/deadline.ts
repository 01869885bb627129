import { JUDGEMENT_MS, withinDeadline } from '../redis/index.js';

/**
 * The time that one call may spend waiting for Redis, however many steps it takes: the deadline is a promise to the
 * caller, not to a command. The time of the loader, of a wait for another process's load, and of a wait behind this
 * process's own commands does not count.
 */
export class WaitBudget {
  constructor(
    /** The connection's deadline clock; any clock when no Redis is configured. */
    private readonly clock: { nowMs(): number },
    private readonly limitMs: number,
    /** The time waited before, in milliseconds. */
    private spentMs = 0,
  ) {}

  /**
   * Waits for `work` within the budget.
   * @returns its result, or `undefined` when the budget is used up first; `work` goes on then
   */
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

  /** Resets the budget, after a wait that does not count. */
  renew(): void {
    this.spentMs = 0;
  }
}

/** Waits for `work`, no longer than `limitMs`. @returns `undefined` if it takes longer; the work goes on then */
export async function withinTime<Result>(work: Promise<Result>, limitMs: number): Promise<Result | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, limitMs, undefined);
  });
  try {
    return await Promise.race([work, expiry]);
  } finally {
    clearTimeout(timer);
  }
}
