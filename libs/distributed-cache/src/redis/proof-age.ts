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
    private readonly monotonicMs: () => number = () => performance.now(),
    private readonly wallMs: () => number = () => Date.now(),
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
