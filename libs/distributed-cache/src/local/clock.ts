/** A source of time. Tests can pass one of their own. */
export interface Clock {
  /** Milliseconds since 1970; never goes back. */
  nowMs(): number;
}

const { timeOrigin: startedAtMs } = performance;
/** Bound once: access through the global costs as much as the call. */
const sinceStartMs = performance.now.bind(performance);
/** Captured once: fake timers replace `Date`, and a machine has not slept because a test fakes the time. */
const RealDate = Date;

/**
 * The wall clock at the process's start plus the monotonic time since: a change of the machine's clock changes no TTL.
 */
export const systemClock: Clock = {
  nowMs: () => startedAtMs + sinceStartMs(),
};

/** Captured once: a test that fakes timers later must not stop a clock. */
const afterThisTurn = setImmediate;

/**
 * A clock that reads the time once per turn of the event loop, because one read costs as much as the rest of an L1 hit.
 * It forgets the time before the process waits for events again, so the first read after a wait (or after the process
 * was stopped in it) is a real one. It lags by at most the length of one turn.
 */
export class CoarseClock implements Clock {
  private atMs = 0;
  private readonly forget = (): void => {
    this.atMs = 0;
  };

  /** @param onRead called at each real read, before its time is used */
  constructor(
    private readonly clock: Clock,
    private readonly onRead: () => void = () => {},
  ) {}

  nowMs(): number {
    return this.atMs === 0 ? this.read() : this.atMs;
  }

  private read(): number {
    this.onRead();
    this.atMs = this.clock.nowMs();
    afterThisTurn(this.forget);
    return this.atMs;
  }
}

/** An adjustment of the wall clock by up to this much, in milliseconds, is not taken for a suspension. */
const ADJUSTMENT_MS = 1000;

/**
 * Detects that more time has passed than the monotonic clock shows. On most systems that clock stops while the machine
 * sleeps, or a virtual machine is paused, so entries would live longer by that time. The wall clock jumps forward then.
 * It also does so when it is set, and the two can't be distinguished.
 */
export class SuspendWatch {
  private leadMs: number;

  constructor(
    private readonly monotonicMs: () => number = sinceStartMs,
    private readonly wallMs: () => number = () => RealDate.now(),
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
