import { TierTimeoutError, TierUnavailableError } from '../errors/index.js';
import { WaitingLine, type InLine } from './waiting-line.js';
import type { ReplyListener } from './wire-command.js';

/** What is known of somebody who waits, besides what for. */
interface Waiting extends InLine<Waiting> {
  readonly operation: string;
  readonly judge: Judge;
  dueAtMs: number;
  /** Whether it has been given longer, because the process was busy when it was due. */
  isExtended: boolean;
  /** What `judge.progress()` said when the operation was sent. */
  readonly progressAtSend: number;
  readonly reject: (error: Error) => void;
}

/**
 * What a timeout says about the connection: nothing arrived (`silent`), something did (`slow`), or this process was too
 * busy to know (`busy-process`).
 */
export type TimeoutVerdict = 'silent' | 'slow' | 'busy-process';

/** Who judges the server that an operation goes to: a connection, or one node of a cluster. */
export interface Judge {
  /** A figure that moves whenever the server shows life. */
  progress(): number;
  /** An operation was answered in time. A later answer shows life (`progress`), but its caller has gone. */
  onAnswer(): void;
  /** An operation ran into the deadline. */
  onTimeout(verdict: TimeoutVerdict): void;
}

export interface InFlightOptions {
  readonly deadlineMs: number;
  /** More operations than this are refused at once. */
  readonly maxPending: number;
  readonly nowMs: () => number;
}

/** A timer this late means that the process was busy, and says nothing about Redis. */
const STALLED_LOOP_MS = 50;

/** Who was due while the process was busy waits this much longer, once: its command may not even have left in time. */
const EXTENSION_MS = 100;

/**
 * The operations that wait for Redis, oldest first. They share one deadline, so the first to start is the first to end and
 * one timer serves all of them. The timer keeps the process alive while somebody waits, and only then: the socket
 * itself is unref'd, so a script that used the cache can end.
 *
 * When the timer fires, the answer may lie in the socket's buffer, unread because the process was busy (a large
 * `JSON.parse`, a garbage collection): timers run before the poll phase. So the verdict waits for one poll phase. If the timer
 * itself was late, the command may have left late too, and everybody who was due waits a moment longer, once.
 */
export class InFlight {
  private readonly pending = new WaitingLine<Waiting>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: InFlightOptions) {}

  get size(): number {
    return this.pending.size;
  }

  get deadlineMs(): number {
    return this.options.deadlineMs;
  }

  /** What is left to whoever began at this moment of `nowMs`. */
  restMs(startedAtMs: number): number {
    return this.options.deadlineMs - (this.options.nowMs() - startedAtMs);
  }

  /** Waits for `start()`, but no longer than the deadline. */
  track<Result>(operation: string, judge: Judge, start: () => Promise<Result>): Promise<Result> {
    return this.listen<Result>(operation, judge, (waiter) => {
      start().then(
        (result) => waiter.onReply(result),
        (error: Error) => waiter.onFailure(error),
      );
    });
  }

  /** As {@link track}, for what is told to a listener and needs no promise of its own. `start` must not throw. */
  listen<Result>(operation: string, judge: Judge, start: (listener: ReplyListener<Result>) => void): Promise<Result> {
    if (this.pending.size >= this.options.maxPending) {
      return Promise.reject(new TierUnavailableError(operation, 'overloaded'));
    }
    return new Promise<Result>((resolve, reject) => {
      const dueAtMs = this.options.nowMs() + this.options.deadlineMs;
      const waiter = new Waiter<Result>(operation, judge, dueAtMs, resolve, reject, this.leave);
      this.pending.add(waiter);
      this.arm();
      start(waiter);
    });
  }

  /** Ends every wait at once. @param judge only the waits that are its business; default: all */
  releaseAll(errorFor: (operation: string) => Error, judge?: Judge): void {
    const released = this.pending.all().filter((waiter) => judge === undefined || waiter.judge === judge);
    released.forEach((waiter) => this.pending.delete(waiter));
    this.settleTimer();
    for (const { operation, reject } of released) {
      reject(errorFor(operation));
    }
  }

  /** @returns whether it was still waited for */
  private readonly leave = (waiter: Waiting): boolean => {
    const wasWaitedFor = this.pending.delete(waiter);
    this.settleTimer();
    return wasWaitedFor;
  };

  private arm(): void {
    if (this.timer !== undefined) {
      this.timer.ref();
      return;
    }
    const { oldest } = this.pending;
    if (oldest !== undefined) {
      const { dueAtMs } = oldest;
      const waitMs = Math.max(1, Math.ceil(dueAtMs - this.options.nowMs()));
      this.timer = setTimeout(() => this.fire(dueAtMs), waitMs);
    }
  }

  /** The timer is left running, unref'd, when nobody waits: the next operation finds it there, at no cost. */
  private settleTimer(): void {
    if (this.pending.size === 0) {
      this.timer?.unref();
    }
  }

  private fire(dueAtMs: number): void {
    const busyProcess = this.options.nowMs() - dueAtMs > STALLED_LOOP_MS;
    setImmediate(() => {
      this.timer = undefined;
      this.expire(busyProcess);
      this.arm();
    });
  }

  private expire(busyProcess: boolean): void {
    const { deadlineMs, nowMs } = this.options;
    const dueNowMs = nowMs();
    for (const entry of this.pending.all()) {
      if (entry.dueAtMs > dueNowMs) {
        break; // those behind it were sent later, and are due no more than an extension earlier
      }
      if (busyProcess && !entry.isExtended) {
        entry.isExtended = true;
        entry.dueAtMs = dueNowMs + EXTENSION_MS;
        continue;
      }
      this.pending.delete(entry);
      entry.reject(new TierTimeoutError(entry.operation, deadlineMs));
      const { judge, progressAtSend } = entry;
      judge.onTimeout(busyProcess ? 'busy-process' : progressAtSend === judge.progress() ? 'silent' : 'slow');
    }
  }
}

/** Somebody who waits for one operation. */
class Waiter<Result> implements Waiting, ReplyListener<Result> {
  isExtended = false;
  readonly progressAtSend: number;
  isInLine = false;
  before: Waiting | undefined = undefined;
  after: Waiting | undefined = undefined;

  constructor(
    readonly operation: string,
    readonly judge: Judge,
    public dueAtMs: number,
    private readonly resolve: (result: Result) => void,
    readonly reject: (error: Error) => void,
    private readonly leave: (waiter: Waiting) => boolean,
  ) {
    this.progressAtSend = judge.progress();
  }

  onReply(result: Result): void {
    if (this.leave(this)) {
      this.judge.onAnswer();
    }
    this.resolve(result);
  }

  onFailure(error: Error): void {
    this.leave(this);
    this.reject(error);
  }
}
