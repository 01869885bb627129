/** What one operation takes of the window and of the queue. */
export interface SendCost {
  /** Bytes of its command: they take memory while it waits, and time once it is sent. Default 0. */
  readonly bytes?: number;
  /** Bytes expected in its reply: they count once it is sent. Default 0. */
  readonly replyBytes?: number;
  /**
   * Whether it goes before operations that are not: it ends work that is under way (a fill, the renewal of a lease), or
   * finds out whether the server lives. It must not depend on the order of changes to its key. Default false.
   */
  readonly isUrgent?: boolean;
  /**
   * Whether it is one of several pieces of a batch, which may keep Redis busy itself: it waits longer than other operations
   * for a server that shows signs of life, and its silence is judged later. Default false.
   */
  readonly isPiece?: boolean;
}

export interface QueueLimits {
  /**
   * Operations sent and not answered yet, at the most; the next waits in the queue. Fewer while answers are slow: see
   * `SendWindow`.
   */
  readonly maxSent: number;
  /** Their bytes. One operation is always sent, however large it is. */
  readonly maxSentBytes: number;
  /** Operations in the queue; the next is refused. */
  readonly maxQueued: number;
  /** Their bytes. */
  readonly maxQueuedBytes: number;
}

/**
 * By default at most 512 operations or 4 MiB are on their way to one server, a few milliseconds of its time, and
 * 100,000 operations or 64 MiB wait.
 */
export const QUEUE_LIMITS: QueueLimits = {
  maxSent: 512,
  maxSentBytes: 4 * 1024 * 1024,
  maxQueued: 100_000,
  maxQueuedBytes: 64 * 1024 * 1024,
};

/** An element of a {@link LinkedQueue}, which knows its neighbours. */
export interface Linked<Other> {
  isLinked: boolean;
  before: Other | undefined;
  after: Other | undefined;
}

/**
 * Operations in the order in which they were added. To remove one costs no search and no hash. A `Set` would do the
 * same for few, but it finds the oldest of many only after it has skipped the ones that were removed.
 */
export class LinkedQueue<Element extends Linked<Element>> {
  size = 0;
  oldest: Element | undefined;
  private newest: Element | undefined;

  add(element: Element): void {
    element.isLinked = true;
    element.before = this.newest;
    if (this.newest === undefined) {
      this.oldest = element;
    } else {
      this.newest.after = element;
    }
    this.newest = element;
    this.size++;
  }

  /** @returns whether it was in the queue */
  delete(element: Element): boolean {
    if (!element.isLinked) {
      return false;
    }
    const { before, after } = element;
    if (before === undefined) {
      this.oldest = after;
    } else {
      before.after = after;
    }
    if (after === undefined) {
      this.newest = before;
    } else {
      after.before = before;
    }
    element.isLinked = false;
    element.before = undefined;
    element.after = undefined;
    this.size--;
    return true;
  }

  all(): Element[] {
    const all: Element[] = [];
    for (let element = this.oldest; element !== undefined; element = element.after) {
      all.push(element);
    }
    return all;
  }
}

const LEAST_WINDOW = 32;
/** The size of the window at the start: the connection has not been seen to carry more. */
const FIRST_WINDOW = 64;
/**
 * An answer that takes this many times longer than the quickest one is delayed by this process's own queued operations,
 * not by the path.
 */
const OWN_QUEUE_FACTOR = 3;

/**
 * Limits how many operations may be sent and unanswered at once. Additive increase, multiplicative decrease (Chiu and
 * Jain, Analysis of the Increase and Decrease Algorithms for Congestion Avoidance, 1989): the window is halved when an
 * answer takes a quarter of the deadline because of the operations before it, so that a busy server or machine makes
 * the queue longer and not the answers late. It grows by one for each answer within a sixteenth of the deadline, or
 * within twice the path's quickest answer. Several processes that grow at the same time then stay below the deadline
 * together.
 */
export class SendWindow {
  private current: number;
  private quickestMs = Infinity;
  private halvedAtMs = -Infinity;

  constructor(
    private readonly most: number,
    private readonly deadlineMs: number,
    first = FIRST_WINDOW,
  ) {
    this.current = Math.min(first, most);
  }

  get size(): number {
    return this.current;
  }

  /** An operation was answered, or has timed out. */
  onSettled(sentAtMs: number, nowMs: number): void {
    const tookMs = nowMs - sentAtMs;
    this.quickestMs = Math.min(this.quickestMs, tookMs);
    const isLate = tookMs > this.deadlineMs / 4 && tookMs > this.quickestMs * OWN_QUEUE_FACTOR;
    // At most one halving per window: operations that were sent before the last halving say nothing new.
    if (isLate && sentAtMs > this.halvedAtMs) {
      this.halvedAtMs = nowMs;
      this.current = Math.max(Math.min(LEAST_WINDOW, this.most), Math.floor(this.current / 2));
    } else if (this.current < this.most && tookMs < Math.max(this.deadlineMs / 16, this.quickestMs * 2)) {
      this.current++;
    }
  }
}

interface Queued extends Linked<Queued> {
  readonly bytes: number;
  readonly replyBytes: number;
  readonly isUrgent: boolean;
}

/**
 * Backpressure between the core and one Redis server. Operations leave in the order in which they came, urgent ones
 * first. What is sent is bounded, so that a reply is never long in coming because of this process's own load; what
 * waits is bounded, so that memory is.
 */
export class SendQueue<Operation extends Queued> {
  private readonly urgent = new LinkedQueue<Queued>();
  private readonly others = new LinkedQueue<Queued>();
  private queuedBytes = 0;
  private sent = 0;
  private sentBytes = 0;
  private isSending = false;

  constructor(
    private readonly limits: QueueLimits,
    private readonly send: (operation: Operation) => void,
    private readonly window: SendWindow,
    /** Called when the first operation begins to wait, and when the last one has left. */
    private readonly listener: { onQueueFilled(): void; onQueueEmptied(): void },
  ) {}

  get size(): number {
    return this.urgent.size + this.others.size;
  }

  /**
   * Whether this operation may neither be sent nor wait. Pieces of batches are few, and each stands for many keys: their
   * number is not limited.
   */
  isFullFor({ bytes = 0, replyBytes = 0, isPiece = false }: SendCost): boolean {
    const { maxQueued, maxQueuedBytes } = this.limits;
    const mustWait = this.size > 0 || !this.hasRoom(bytes + replyBytes);
    return mustWait && ((this.size >= maxQueued && !isPiece) || this.queuedBytes + bytes > maxQueuedBytes);
  }

  /** Sends the operation, now or when its turn comes. */
  add(operation: Operation): void {
    if (this.size === 0 && this.hasRoom(operation.bytes + operation.replyBytes)) {
      this.release(operation);
      return;
    }
    if (this.size === 0) {
      this.listener.onQueueFilled();
    }
    this.queuedBytes += operation.bytes;
    this.queueOf(operation).add(operation);
  }

  /** An operation that was sent is over, answered or not: the next ones may leave. */
  onSettled({ bytes, replyBytes }: Operation): void {
    this.sent--;
    this.sentBytes -= bytes + replyBytes;
    if (this.size > 0) {
      this.sendNext();
    }
  }

  /** Empties the queue. @returns what waited, in order */
  takeAll(): Operation[] {
    const waiting = [...this.urgent.all(), ...this.others.all()] as Operation[];
    waiting.forEach((operation) => this.remove(operation));
    return waiting;
  }

  /** An operation that fails while it is being sent settles within this loop: the loop goes on, and does not nest. */
  private sendNext(): void {
    if (this.isSending) {
      return;
    }
    this.isSending = true;
    for (let next = this.next; next !== undefined && this.hasRoom(next.bytes + next.replyBytes); next = this.next) {
      this.remove(next);
      this.release(next as Operation);
    }
    this.isSending = false;
  }

  private get next(): Queued | undefined {
    return this.urgent.oldest ?? this.others.oldest;
  }

  private remove(operation: Queued): void {
    this.queueOf(operation).delete(operation);
    this.queuedBytes -= operation.bytes;
    if (this.size === 0) {
      this.listener.onQueueEmptied();
    }
  }

  private queueOf({ isUrgent }: Queued): LinkedQueue<Queued> {
    return isUrgent ? this.urgent : this.others;
  }

  private hasRoom(bytes: number): boolean {
    const { maxSentBytes } = this.limits;
    return this.sent === 0 || (this.sent < this.window.size && this.sentBytes + bytes <= maxSentBytes);
  }

  private release(operation: Operation): void {
    this.sent++;
    this.sentBytes += operation.bytes + operation.replyBytes;
    this.send(operation);
  }
}
