/** So many keys at most; beyond it the oldest hold-off ends early in this process, and still stands in Redis. */
const MOST_KEYS = 100_000;

/** Below this size a sweep is not worth its while. */
const SWEEP_FROM = 64;

/** The keys that were deleted with a hold-off, and until when loads of them are not kept. */
export class HoldOffs {
  private readonly until = new Map<string, number>();
  /** The size at which those that have ended are swept out: twice what the last sweep left, so a call costs O(1) on average. */
  private sweepAt = SWEEP_FROM;

  constructor(private readonly mostKeys = MOST_KEYS) {}

  get size(): number {
    return this.until.size;
  }

  add(key: string, untilMs: number, nowMs: number): void {
    this.until.delete(key); // the last one of a key is the youngest
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
