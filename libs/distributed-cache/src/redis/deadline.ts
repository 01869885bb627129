import { TierTimeoutError } from '../errors/index.js';

/**
 * A clock of the time that counts against a caller's deadline, in milliseconds. It is paused while operations queue
 * behind this process's own commands: a server that answers them is not slow. A server that stops answering ends the
 * queue, so the clock is never paused for long.
 */
export class DeadlineClock {
  private filledQueues = 0;
  private filledAtMs = 0;
  private queuedMs = 0;

  /**
   * @param realNowMs a monotonic clock
   * @param deadlineMs the longest wait of one operation, in milliseconds
   */
  constructor(
    private readonly realNowMs: () => number,
    private readonly deadlineMs: number,
  ) {}

  nowMs(): number {
    return (this.filledQueues > 0 ? this.filledAtMs : this.realNowMs()) - this.queuedMs;
  }

  /**
   * Limits further round trips of an operation to what the first has left of the deadline.
   * @param startedAtMs when the first began, by this clock
   * @throws TierTimeoutError when the deadline is over, and what `work` rejects with
   */
  withinRest<Result>(operation: string, startedAtMs: number, work: Promise<Result>): Promise<Result> {
    const { deadlineMs } = this;
    return withinDeadline(work, this, startedAtMs + deadlineMs + JUDGEMENT_MS, () => {
      throw new TierTimeoutError(operation, deadlineMs);
    });
  }

  /** An operation begins to wait in a queue that was empty. */
  onQueueFilled(): void {
    if (this.filledQueues++ === 0) {
      this.filledAtMs = this.realNowMs();
    }
  }

  /** The last operation has left a queue. */
  onQueueEmptied(): void {
    if (--this.filledQueues === 0) {
      this.queuedMs += this.realNowMs() - this.filledAtMs;
    }
  }
}

/** Measures the load of this process since it was made. */
class LoadMeter {
  private readonly startedAtMs = performance.now();
  private readonly idleBeforeMs = performance.nodeTiming.idleTime;

  /** The part of the time in which the process has worked, 0 to 1. */
  share(): number {
    const passedMs = performance.now() - this.startedAtMs;
    return passedMs <= 0 ? 1 : 1 - (performance.nodeTiming.idleTime - this.idleBeforeMs) / passedMs;
  }
}

/** Starts a {@link LoadMeter}. @returns its reading */
export function measureLoad(): () => number {
  const meter = new LoadMeter();
  return () => meter.share();
}

/**
 * `setImmediate`, captured once: a test that fakes it later must not hold back what is sent to Redis at the end of a turn.
 */
export const afterThisTurn = setImmediate;

/** The real time, for the waits of callers; entries may expire by another clock. */
export const REAL_TIME: { nowMs(): number } = { nowMs: () => performance.now() };

/**
 * A caller's own wait lasts so many milliseconds longer than the deadline: the connection decides at the deadline what
 * a timeout of its one command means, and that must come first.
 */
const JUDGEMENT_MS = 10;

/** A timer, or the reading of sockets after it, that is this late, in milliseconds, says that the process was busy. */
export const STALLED_LOOP_MS = 50;
/** A process that has spent this share of the time on its own work counts as busy, too. */
export const BUSY_SHARE = 0.5;
/** How often the wait of a busy process is extended at most: it may be busy so often in succession. */
export const MOST_EXTENSIONS = 5;
/** The extension of a caller's wait, in milliseconds. */
const EXTENSION_MS = 200;

/**
 * Waits for `work` until a point in time of the clock. When the time is over, the sockets are read once more before the
 * wait ends. A busy process waits longer: an answer may be there, unread, or its command may have left late.
 * @param onLate called when the time is over first: the caller gets its result, or the error that it throws; `work`
 * goes on
 * @param onEnd called when the wait is over, in either way
 * @param keepsProcess whether the timer keeps the process alive: only when a caller waits
 * @throws what `work` rejects with
 */
export function withinDeadline<Result, Late>(
  work: Promise<Result>,
  clock: { nowMs(): number },
  dueAtMs: number,
  onLate: () => Late | Promise<Late>,
  { onEnd, keepsProcess = true }: { readonly onEnd?: () => void; readonly keepsProcess?: boolean } = {},
): Promise<Result | Late> {
  return new Promise((resolve, reject) => {
    const onOver = (): void => {
      onEnd?.();
      try {
        resolve(onLate());
      } catch (error) {
        reject(error instanceof Error ? error : new Error('unknown error'));
      }
    };
    const wait = new DeadlineWait(clock, dueAtMs, keepsProcess, onOver);
    work.then(
      (result) => {
        if (wait.end()) {
          onEnd?.();
          resolve(result);
        }
      },
      (error: Error) => {
        if (wait.end()) {
          onEnd?.();
          reject(error);
        }
      },
    );
  });
}

/**
 * Waits for `work` for `limitMs` milliseconds of real time; a busy process waits up to a second longer, as
 * {@link withinDeadline} does.
 * @param late the result when the time is over first; `work` goes on then
 */
export function withinTime<Result, Late>(
  work: Promise<Result>,
  limitMs: number,
  late: Late,
  keepsProcess: boolean,
): Promise<Result | Late> {
  return withinDeadline(work, REAL_TIME, REAL_TIME.nowMs() + limitMs, () => late, { keepsProcess });
}

/** The timer of one {@link withinDeadline}. */
class DeadlineWait {
  private isOver = false;
  private extensions = 0;
  private readonly load = new LoadMeter();
  private timer: NodeJS.Timeout;

  constructor(
    private readonly clock: { nowMs(): number },
    private endsAtMs: number,
    private readonly keepsProcess: boolean,
    private readonly onOver: () => void,
  ) {
    this.timer = this.wait();
  }

  /** The work has ended. @returns whether that is in time */
  end(): boolean {
    clearTimeout(this.timer);
    const isInTime = !this.isOver;
    this.isOver = true;
    return isInTime;
  }

  private wait(): NodeJS.Timeout {
    const timer = setTimeout(onTimer, Math.max(1, Math.ceil(this.endsAtMs - this.clock.nowMs())), this);
    return this.keepsProcess ? timer : timer.unref();
  }

  onTimer(): void {
    if (this.clock.nowMs() < this.endsAtMs) {
      this.timer = this.wait(); // the clock was paused meanwhile
    } else {
      afterThisTurn(() => this.decide()); // timers run before the poll phase, in which answers are read
    }
  }

  private decide(): void {
    const { clock, load } = this;
    if (this.isOver) {
      return;
    }
    const isBusy = clock.nowMs() - this.endsAtMs > STALLED_LOOP_MS || load.share() > BUSY_SHARE;
    if (isBusy && this.extensions < MOST_EXTENSIONS) {
      this.extensions++;
      this.endsAtMs = clock.nowMs() + EXTENSION_MS;
      this.timer = this.wait();
    } else if (this.end()) {
      this.onOver();
    }
  }
}

function onTimer(wait: DeadlineWait): void {
  wait.onTimer();
}

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
    /** Called when a wait ends because the budget is used up. */
    private readonly onSpent: () => void = () => {},
  ) {}

  /**
   * Waits for `work` within the budget.
   * @returns its result, or `undefined` when the budget is used up first; `work` goes on then
   */
  wait<Result>(work: Promise<Result>): Promise<Result | undefined> {
    const { clock } = this;
    const startedAtMs = clock.nowMs();
    const dueAtMs = startedAtMs + this.limitMs - this.spentMs + JUDGEMENT_MS;
    const giveUp = (): undefined => {
      this.onSpent();
    };
    return withinDeadline(work, clock, dueAtMs, giveUp, {
      onEnd: () => {
        this.spentMs += clock.nowMs() - startedAtMs;
      },
    });
  }

  /** Resets the budget, after a wait that does not count. */
  renew(): void {
    this.spentMs = 0;
  }
}
