/** Maximum number of keys; beyond it the oldest hold-off ends early in this process, and still applies in Redis. */
const MOST_KEYS = 100_000;

/** Below this size a sweep costs more than it saves. */
const SWEEP_FROM = 64;

/** The keys that were deleted with a hold-off, and the time until which loads of them are not kept. */
export class HoldOffs {
  private readonly until = new Map<string, number>();
  /**
   * The size at which hold-offs that have ended are removed: twice what the last sweep left, so a call costs O(1) on
   * average.
   */
  private sweepAt = SWEEP_FROM;

  constructor(private readonly mostKeys = MOST_KEYS) {}

  get size(): number {
    return this.until.size;
  }

  add(key: string, untilMs: number, nowMs: number): void {
    this.until.delete(key); // moves the key to the end: it is the youngest now
    this.until.set(key, untilMs);
    if (this.until.size >= this.sweepAt) {
      this.sweep(nowMs);
    }
    if (this.until.size > this.mostKeys) {
      const [oldest] = this.until.keys();
      this.until.delete(oldest as string);
    }
  }

  includes(key: string, nowMs: number): boolean {
    if (this.until.size === 0) {
      return false;
    }
    const untilMs = this.until.get(key);
    if (untilMs !== undefined && untilMs <= nowMs) {
      this.until.delete(key);
    }
    return untilMs !== undefined && untilMs > nowMs;
  }

  private sweep(nowMs: number): void {
    for (const [key, untilMs] of this.until) {
      if (untilMs <= nowMs) {
        this.until.delete(key);
      }
    }
    this.sweepAt = Math.max(SWEEP_FROM, 2 * this.until.size);
  }
}
