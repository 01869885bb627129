/** A moment on both clocks. */
interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/**
 * How long ago something was proven, by the clock that says more: the monotonic one stands still while the machine sleeps, the wall
 * clock may be set back.
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

  /** To be asked before the proof: it says nothing of what happens later than its beginning. */
  begin(): Moment {
    return { monotonicMs: this.monotonicMs(), wallMs: this.wallMs() };
  }

  end(beginning: Moment): void {
    this.provenAt = beginning;
  }
}
