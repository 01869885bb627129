import { TierTimeoutError, TierUnavailableError } from '../errors/index.js';
import { afterThisTurn, BUSY_SHARE, DeadlineClock, measureLoad, MOST_EXTENSIONS, STALLED_LOOP_MS } from './deadline.js';
import {
  LinkedQueue,
  QUEUE_LIMITS,
  SendQueue,
  SendWindow,
  type Linked,
  type QueueLimits,
  type SendCost,
} from './send-queue.js';
import type { ReplyListener } from './send.js';

/** A pending operation: what it costs, when it is due, and how to fail it. */
interface Operation extends Linked<Operation> {
  readonly name: string;
  readonly bytes: number;
  readonly replyBytes: number;
  readonly isUrgent: boolean;
  readonly isPiece: boolean;
  /** When it times out; set when it is sent. */
  dueAtMs: number;
  sentAtMs: number;
  /** How often it was given longer, because the process was busy when it was due. */
  extensions: number;
  /** The `progress()` of the server when the operation was sent; for a batch, when it was last due. */
  progressAtSend: number;
  start(): void;
  readonly reject: (error: Error) => void;
}

/**
 * What a timeout says about the connection: nothing arrived (`silent`), something did (`slow`), or the cause may be this
 * process itself, which was too busy to know, or has a batch under way (`own-load`).
 */
export type TimeoutVerdict = 'silent' | 'slow' | 'own-load';

/** Observes the server that an operation goes to, and decides whether it can be used. */
export interface HealthObserver {
  /** A number that changes whenever the server shows a sign of life. */
  progress(): number;
  /** An operation was answered in time. A later answer is a sign of life (`progress`), but its caller has gone. */
  onAnswer(): void;
  /** An operation ran into the deadline. */
  onTimeout(verdict: TimeoutVerdict): void;
}

/**
 * Number of timeouts in a row, without an answer between them, after which a server counts as too slow to use, although
 * it shows signs of life.
 */
const SLOW_TIMEOUTS_TO_OPEN = 5;

/** Counts the timeouts of one server in a row: its circuit breaker opens at the first silent one, or at the fifth. */
export class ServerHealth implements HealthObserver {
  private timeoutsInARow = 0;

  constructor(
    readonly progress: () => number,
    /** The server can't be used, or not for now. */
    private readonly onUnusable: () => void,
  ) {}

  onAnswer(): void {
    this.timeoutsInARow = 0;
  }

  onTimeout(verdict: TimeoutVerdict): void {
    if (verdict === 'own-load') {
      return;
    }
    this.timeoutsInARow++;
    if (verdict === 'silent' || this.timeoutsInARow >= SLOW_TIMEOUTS_TO_OPEN) {
      this.onUnusable();
    }
  }
}

export interface InFlightOptions {
  readonly observer: HealthObserver;
  /** The most that an operation waits for its answer, from the moment it is sent. */
  readonly deadlineMs: number;
  /** The most that a piece of a batch waits, while the server shows signs of life. Default: `deadlineMs`. */
  readonly maxBatchMs?: number;
  readonly nowMs: () => number;
  /** Shared by all servers of one connection. */
  readonly deadlineClock?: DeadlineClock;
  /** Default: see {@link QUEUE_LIMITS}. */
  readonly limits?: QueueLimits;
  /** How many operations may be sent at first. Default: as `SendWindow` has it. */
  readonly firstWindow?: number;
  /**
   * Starts to measure: the result says, when called, which part of the time since then this process has worked, 0 to 1.
   */
  readonly measureLoad?: () => () => number;
}

/**
 * While operations queue in a busy process, or a batch is under way, a server that answers nothing may be dead, or short
 * of processor time because of that load: the operation, or the piece of the batch, gets its deadline anew so many times.
 */
const MOST_SILENT_EXTENSIONS = 2;

/**
 * With more than so many operations unanswered, the deadline of a new one begins when the current turn of the event
 * loop ends. A turn that sends thousands takes long, and its commands leave only then. Fewer operations do without the
 * extra `setImmediate`.
 */
const BURST = 16;

const SMALL: SendCost = {};

/**
 * The operations of one Redis server: those that are sent and wait for their answers, in the order in which they are due,
 * and behind them a queue.
 *
 * The deadline of an operation begins when it is sent. Operations share one deadline, so the first to be sent is the
 * first to time out, and one timer serves all of them. The timer keeps the process alive while an operation is
 * unanswered, and only then: the socket itself is unref'd, so a script that used the cache can end.
 *
 * When the timer fires, the answer may lie in the socket's buffer, unread because the process was busy (a large
 * `JSON.parse`, a garbage collection): timers run before the poll phase. So the verdict waits for one poll phase. If
 * the timer itself was late, the command may have left late too, and every operation that was due gets its deadline
 * anew. So does one whose server has answered others meanwhile, if this process was busy for most of the time, or if
 * operations queue: then it waits behind this process's own load. While operations queue in a busy process, a server
 * that answers nothing gets two more deadlines: both may be short of processor time.
 *
 * A piece of a batch waits for as long as the server shows signs of life, up to `maxBatchMs`: a batch is work in the
 * background, and to give a piece up costs more than to wait for it. A server that answers nothing gets two more
 * deadlines. While a batch is under way, its pieces alone decide about the server: the others end at their deadline.
 */
export class InFlight {
  private readonly sent = new LinkedQueue<Operation>();
  private readonly queue: SendQueue<Operation>;
  private readonly window: SendWindow;
  private timer: NodeJS.Timeout | undefined;
  private sentInTurn: Operation[] = [];
  /** The pieces of batches among the sent operations. */
  private sentPieces = 0;

  constructor(private readonly options: InFlightOptions) {
    const { nowMs, deadlineClock = new DeadlineClock(nowMs, options.deadlineMs), limits = QUEUE_LIMITS } = options;
    this.window = new SendWindow(limits.maxSent, options.deadlineMs, options.firstWindow);
    this.queue = new SendQueue(limits, (operation) => this.begin(operation), this.window, deadlineClock);
  }

  /** Operations sent and not answered, and operations queued. */
  get size(): number {
    return this.sent.size + this.queue.size;
  }

  /** Whether operations of this process wait for others of it to be answered. */
  get isQueueing(): boolean {
    return this.queue.size > 0;
  }

  /**
   * Waits for `start()`, no longer than the deadline once it is called.
   * @throws TierUnavailableError (`overloaded`) at a full queue
   */
  track<Result>(name: string, start: () => Promise<Result>, cost?: SendCost): Promise<Result> {
    return this.listen<Result>(
      name,
      (waiter) => {
        start().then(
          (result) => waiter.onReply(result),
          (error: Error) => waiter.onFailure(error),
        );
      },
      cost,
    );
  }

  /**
   * Waits as {@link track} does, for an operation that reports to a listener and needs no promise of its own. `start`
   * must not throw.
   */
  listen<Result>(
    name: string,
    start: (listener: ReplyListener<Result>) => void,
    cost: SendCost = SMALL,
  ): Promise<Result> {
    if (this.queue.isFullFor(cost)) {
      return Promise.reject(new TierUnavailableError(name, 'overloaded'));
    }
    return new Promise<Result>((resolve, reject) => {
      this.queue.add(new Waiter<Result>(name, cost, start, resolve, reject, this.leave));
    });
  }

  /** Fails every operation at once, sent or queued. */
  releaseAll(errorFor: (operation: string, wasSent: boolean) => Error): void {
    const sent = this.sent.all();
    const queued = this.queue.takeAll();
    for (const operation of sent) {
      this.removeSent(operation);
      this.queue.onSettled(operation);
    }
    this.settleTimer();
    sent.forEach(({ name, reject }) => reject(errorFor(name, true)));
    queued.forEach(({ name, reject }) => reject(errorFor(name, false)));
  }

  private begin(operation: Operation): void {
    const [first] = this.sentInTurn;
    const { nowMs, observer } = this.options;
    this.stamp(operation, first?.sentAtMs ?? nowMs(), first?.progressAtSend ?? observer.progress());
    this.sent.add(operation);
    this.sentPieces += operation.isPiece ? 1 : 0;
    if (this.sent.size > BURST && this.sentInTurn.push(operation) === 1) {
      afterThisTurn(() => this.stampAtEndOfTurn());
    }
    this.arm();
    operation.start();
  }

  private stamp(operation: Operation, nowMs: number, progress: number): void {
    operation.sentAtMs = nowMs;
    operation.dueAtMs = nowMs + this.options.deadlineMs;
    operation.progressAtSend = progress;
  }

  private stampAtEndOfTurn(): void {
    const nowMs = this.options.nowMs();
    const progress = this.options.observer.progress();
    const { sentInTurn } = this;
    this.sentInTurn = [];
    sentInTurn.forEach((sent) => this.stamp(sent, nowMs, progress));
  }

  /** @returns whether it was still waited for */
  private readonly leave = (operation: Operation, isAnswered: boolean): boolean => {
    if (!this.removeSent(operation)) {
      return false;
    }
    if (this.queue.size > 0) {
      this.window.onSettled(operation.sentAtMs, this.options.nowMs()); // without a queue its size does not matter
    }
    this.queue.onSettled(operation);
    this.settleTimer();
    if (isAnswered) {
      this.options.observer.onAnswer();
    }
    return true;
  };

  private removeSent(operation: Operation): boolean {
    const wasSent = this.sent.delete(operation);
    this.sentPieces -= wasSent && operation.isPiece ? 1 : 0;
    return wasSent;
  }

  private arm(): void {
    if (this.timer !== undefined) {
      this.timer.ref();
      return;
    }
    const { oldest } = this.sent;
    if (oldest !== undefined) {
      const { dueAtMs } = oldest;
      const waitMs = Math.max(1, Math.ceil(dueAtMs - this.options.nowMs()));
      const loadSinceNow = (this.options.measureLoad ?? measureLoad)();
      this.timer = setTimeout(() => this.fire(dueAtMs, loadSinceNow()), waitMs);
    }
  }

  /** The timer is left running, unref'd, when nothing is waited for: the next operation finds it there, at no cost. */
  private settleTimer(): void {
    if (this.sent.size === 0) {
      this.timer?.unref();
    }
  }

  private fire(dueAtMs: number, load: number): void {
    const firedAtMs = this.options.nowMs();
    afterThisTurn(() => {
      this.timer = undefined;
      const isLate = this.options.nowMs() - dueAtMs > STALLED_LOOP_MS;
      this.expire(firedAtMs, isLate, load > BUSY_SHARE);
      this.arm();
    });
  }

  /** Gives an operation its deadline anew, behind the others: they stay in the order in which they are due. */
  private extend(operation: Operation, nowMs: number): void {
    if (this.sent.delete(operation)) {
      operation.dueAtMs = nowMs + this.options.deadlineMs;
      this.sent.add(operation);
    }
  }

  /**
   * Decides about the operations that were due when the timer fired. The sockets have been read since then. That may have
   * taken long: operations that were sent meanwhile, or became due, have not had their poll phase yet.
   */
  private expire(firedAtMs: number, isLate: boolean, isBusy: boolean): void {
    const { deadlineMs, maxBatchMs = deadlineMs, nowMs, observer } = this.options;
    const dueNowMs = nowMs();
    for (const operation of this.sent.all()) {
      if (operation.dueAtMs > firedAtMs) {
        break; // those behind it are due later
      }
      const isSilent = operation.progressAtSend === observer.progress();
      const isBusyProcess = isLate || (!isSilent && (isBusy || this.isQueueing));
      const isOwnLoad = (isBusy && this.isQueueing) || operation.isPiece;
      const mostExtensions = isBusyProcess ? MOST_EXTENSIONS : isOwnLoad ? MOST_SILENT_EXTENSIONS : 0;
      if (operation.isPiece && !isSilent && dueNowMs - operation.sentAtMs < maxBatchMs) {
        operation.extensions = 0;
        operation.progressAtSend = observer.progress();
        this.extend(operation, dueNowMs);
      } else if (operation.extensions < mostExtensions) {
        operation.extensions++;
        this.extend(operation, dueNowMs); // its command may have left only now
      } else {
        const isUnknown = isBusyProcess || (this.sentPieces > 0 && !operation.isPiece);
        if (this.leave(operation, false)) {
          operation.reject(new TierTimeoutError(operation.name, deadlineMs));
          observer.onTimeout(isUnknown ? 'own-load' : isSilent ? 'silent' : 'slow');
        }
      }
    }
  }
}

class Waiter<Result> implements Operation, ReplyListener<Result> {
  readonly bytes: number;
  readonly replyBytes: number;
  readonly isUrgent: boolean;
  readonly isPiece: boolean;
  extensions = 0;
  dueAtMs = 0;
  sentAtMs = 0;
  progressAtSend = 0;
  isLinked = false;
  before: Operation | undefined = undefined;
  after: Operation | undefined = undefined;

  constructor(
    readonly name: string,
    { bytes = 0, replyBytes = 0, isUrgent = false, isPiece = false }: SendCost,
    private readonly send: (listener: ReplyListener<Result>) => void,
    private readonly resolve: (result: Result) => void,
    readonly reject: (error: Error) => void,
    private readonly leave: (waiter: Operation, isAnswered: boolean) => void,
  ) {
    this.bytes = bytes;
    this.replyBytes = replyBytes;
    this.isUrgent = isUrgent;
    this.isPiece = isPiece;
  }

  start(): void {
    this.send(this);
  }

  onReply(result: Result): void {
    this.leave(this, true);
    this.resolve(result);
  }

  onFailure(error: Error): void {
    this.leave(this, false);
    this.reject(error);
  }
}
