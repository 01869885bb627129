/**
 * Time that counts against a caller's deadline, in milliseconds. It stands still while operations queue behind this process's own
 * commands: a server that answers them is not slow. A server that stops answering ends the queue, so the clock never stands still for long.
 */
export class DeadlineClock {
  private filledQueues = 0;
  private filledAtMs = 0;
  private queuedMs = 0;

  /** @param realNowMs a monotonic clock */
  constructor(private readonly realNowMs: () => number) {}

  nowMs(): number {
    return (this.filledQueues > 0 ? this.filledAtMs : this.realNowMs()) - this.queuedMs;
  }

  /** An operation waits in a queue that was empty. */
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

/** Starts to measure: the result says, when called, which part of the time since then this process has worked, 0 to 1. */
export function measureLoad(): () => number {
  const startedAtMs = performance.now();
  const idleBeforeMs = performance.nodeTiming.idleTime;
  return () => {
    const passedMs = performance.now() - startedAtMs;
    return passedMs <= 0 ? 1 : 1 - (performance.nodeTiming.idleTime - idleBeforeMs) / passedMs;
  };
}

/** Callers wait in real time, also where entries expire by another clock. */
export const REAL_TIME: { nowMs(): number } = { nowMs: () => performance.now() };

/**
 * An operation of one command is judged by its connection at the deadline. A caller's own wait ends so much later, so that the judgement
 * comes first.
 */
export const JUDGEMENT_MS = 10;

/** A timer this late means that the process was busy: the answer may be there, unread. */
const STALLED_LOOP_MS = 50;
/** So does this share of the time spent on the process's own work. */
const BUSY_SHARE = 0.5;
/** What a wait gets in addition then, so often at most. */
const EXTENSION_MS = 200;
const MOST_EXTENSIONS = 5;

/**
 * Waits for `work` until a point in time of the clock. The timer keeps the process alive: a caller waits.
 * @param onLate called when the time is over first: its result, or the error that it throws, is the caller's; `work` goes on
 * @throws what `work` rejects with
 */
export function withinDeadline<Result, Late>(
  work: Promise<Result>,
  clock: { nowMs(): number },
  dueAtMs: number,
  onLate: () => Late,
): Promise<Result | Late> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    let endsAtMs = dueAtMs;
    let extensions = 0;
    const loadSinceNow = measureLoad();
    const wait = (): void => {
      timer = setTimeout(onTimer, Math.max(1, Math.ceil(endsAtMs - clock.nowMs())));
    };
    const end = (): void => {
      if (isOver) {
        return;
      }
      try {
        resolve(onLate());
      } catch (error) {
        reject(error instanceof Error ? error : new Error('unknown error'));
      }
    };
    const onTimer = (): void => {
      const lateMs = clock.nowMs() - endsAtMs;
      if (lateMs < 0) {
        wait(); // the clock has stood still
      } else if (extensions < MOST_EXTENSIONS && (lateMs > STALLED_LOOP_MS || loadSinceNow() > BUSY_SHARE)) {
        extensions++;
        endsAtMs = clock.nowMs() + EXTENSION_MS;
        wait();
      } else {
        setImmediate(end); // timers run before the poll phase, in which answers are read
      }
    };
    const settle = (): void => {
      isOver = true;
      clearTimeout(timer);
    };
    wait();
    work.then(
      (result) => {
        settle();
        resolve(result);
      },
      (error: Error) => {
        settle();
        reject(error);
      },
    );
  });
}
