import type { SendWindow } from './send-window.js';

/** What one operation takes of the send window and of the queue. */
export interface SendCost {
  /** Bytes of its command: they take memory while it waits, and time when it is sent. Default 0. */
  readonly bytes?: number;
  /** Bytes expected in its reply: they count when it is sent. Default 0. */
  readonly replyBytes?: number;
  /**
   * Whether the operation is sent before those that are not urgent: it ends work that is under way (a fill, the renewal
   * of a lease), or finds out whether the server answers. It must not depend on the order of changes to its key.
   * Default false.
   */
  readonly isUrgent?: boolean;
}

export interface QueueLimits {
  /**
   * Maximum number of operations that are sent and not answered yet; the next waits in the queue. Fewer while answers
   * are slow: see `SendWindow`.
   */
  readonly maxSent: number;
  /** Maximum number of bytes of those operations. One operation is always sent, however large it is. */
  readonly maxSentBytes: number;
  /** Maximum number of operations in the queue; the next is refused. */
  readonly maxQueued: number;
  /** Maximum number of bytes in the queue. */
  readonly maxQueuedBytes: number;
}

/**
 * The default limits: at most 512 operations or 4 MiB are on their way to one server, a few milliseconds of its time,
 * and 100,000 operations or 64 MiB wait.
 */
export const QUEUE_LIMITS: QueueLimits = {
  maxSent: 512,
  maxSentBytes: 4 * 1024 * 1024,
  maxQueued: 100_000,
  maxQueuedBytes: 64 * 1024 * 1024,
};

interface Queued {
  readonly bytes: number;
  readonly replyBytes: number;
  readonly isUrgent: boolean;
}

/**
 * A first-in, first-out queue. `Array.prototype.shift` moves every element of a long array, so removed elements are cut
 * off in batches.
 */
class Fifo<Element> {
  private elements: Element[] = [];
  private head = 0;

  get size(): number {
    return this.elements.length - this.head;
  }

  get first(): Element | undefined {
    return this.elements[this.head];
  }

  push(element: Element): void {
    this.elements.push(element);
  }

  shift(): void {
    this.head++;
    if (this.head * 2 > this.elements.length) {
      this.elements = this.elements.slice(this.head);
      this.head = 0;
    }
  }
}

/**
 * Backpressure between the core and one Redis server. Operations are sent in the order in which they came, urgent ones
 * first. The operations that are sent are limited, so that a reply is never late because of this process's own load;
 * the operations that wait are limited, so that memory is.
 */
export class SendQueue<Operation extends Queued> {
  private readonly urgent = new Fifo<Operation>();
  private readonly others = new Fifo<Operation>();
  private queuedBytes = 0;
  private sent = 0;
  private sentBytes = 0;
  private isSending = false;

  constructor(
    private readonly limits: QueueLimits,
    private readonly send: (operation: Operation) => void,
    private readonly window: SendWindow,
    /** Called when the first operation begins to wait, and when the last one has left the queue. */
    private readonly listener: { onQueueFilled(): void; onQueueEmptied(): void },
  ) {}

  get size(): number {
    return this.urgent.size + this.others.size;
  }

  /** Whether this operation can neither be sent nor queued. */
  isFullFor({ bytes = 0, replyBytes = 0 }: SendCost): boolean {
    const { maxQueued, maxQueuedBytes } = this.limits;
    const mustWait = this.size > 0 || !this.hasRoom(bytes + replyBytes);
    return mustWait && (this.size >= maxQueued || this.queuedBytes + bytes > maxQueuedBytes);
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
    this.lineOf(operation).push(operation);
  }

  /** An operation that was sent has ended, answered or not: the next ones may be sent. */
  onSettled({ bytes, replyBytes }: Operation): void {
    this.sent--;
    this.sentBytes -= bytes + replyBytes;
    if (this.size > 0) {
      this.sendNext();
    }
  }

  /** Empties the queue. @returns the operations that waited, in order */
  takeAll(): Operation[] {
    const waiting: Operation[] = [];
    for (let next = this.next; next !== undefined; next = this.next) {
      this.removeNext(next);
      waiting.push(next);
    }
    return waiting;
  }

  /**
   * Sends as many queued operations as the window allows. An operation that fails while it is being sent settles within
   * this loop: the loop goes on, and does not nest.
   */
  private sendNext(): void {
    if (this.isSending) {
      return;
    }
    this.isSending = true;
    for (let next = this.next; next !== undefined && this.hasRoom(next.bytes + next.replyBytes); next = this.next) {
      this.removeNext(next);
      this.release(next);
    }
    this.isSending = false;
  }

  private get next(): Operation | undefined {
    return this.urgent.first ?? this.others.first;
  }

  private removeNext(operation: Operation): void {
    this.lineOf(operation).shift();
    this.queuedBytes -= operation.bytes;
    if (this.size === 0) {
      this.listener.onQueueEmptied();
    }
  }

  private lineOf({ isUrgent }: Operation): Fifo<Operation> {
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
