/** A source of time. Pass a fake one in tests. */
export interface Clock {
  /** Milliseconds since 1970; never goes back. */
  nowMs(): number;
}

const { timeOrigin: startedAtMs } = performance;
/** Bound once: reaching it through the global costs as much as the call. */
const sinceStartMs = performance.now.bind(performance);

/** The wall clock of the process's start plus the monotonic time since: setting the machine's clock changes no TTL. */
export const systemClock: Clock = {
  nowMs: () => startedAtMs + sinceStartMs(),
};

/** Taken once: a test that fakes timers afterwards must not stop a clock. */
const afterThisTurn = setImmediate;

/**
 * A clock that is looked at once in a turn of the event loop: a look costs as much as the rest of an L1 hit. It forgets the time before the
 * process waits for events again, so that the first look after a wait (or after the process was stopped in it) is a real one; it may be
 * late by as long as one turn takes.
 */
export class CoarseClock implements Clock {
  private atMs = 0;
  private readonly forget = (): void => {
    this.atMs = 0;
  };

  /** @param onLook called at each real look, before its time is used */
  constructor(
    private readonly clock: Clock,
    private readonly onLook: () => void = () => {},
  ) {}

  nowMs(): number {
    return this.atMs === 0 ? this.look() : this.atMs;
  }

  private look(): number {
    this.onLook();
    this.atMs = this.clock.nowMs();
    afterThisTurn(this.forget);
    return this.atMs;
  }
}

/** The wall clock may be adjusted by so much without a doubt. */
const ADJUSTMENT_MS = 1000;

/**
 * Notices that more time has passed than the monotonic clock says. On most systems it stands still while the machine sleeps, or a virtual
 * one is paused, so that entries would live longer by that time. The wall clock jumps forward then; it does as well when it is set, which
 * can't be told apart.
 */
export class SuspendWatch {
  private leadMs: number;

  constructor(
    private readonly monotonicMs: () => number = sinceStartMs,
    private readonly wallMs: () => number = () => Date.now(),
  ) {
    this.leadMs = wallMs() - monotonicMs();
  }

  /** Whether time was lost since the last call. */
  hasSlept(): boolean {
    const leadMs = this.wallMs() - this.monotonicMs();
    const hasSlept = leadMs - this.leadMs > ADJUSTMENT_MS;
    // A clock that is adjusted little by little is followed; so is one that was set back.
    this.leadMs = leadMs;
    return hasSlept;
  }
}
