import type { Scheduler } from 'fast-check';
import { TierUnavailableError } from '../../libs/distributed-cache/src/errors/index.js';

interface Request {
  readonly execute: () => unknown;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The connection of one process to one node. A command leaves, is executed and is answered at times that the scheduler
 * chooses. The order on one link is kept, as on a socket; between links any order is possible.
 */
export class LinkDouble {
  private requests: Request[] = [];
  private replies: (() => void)[] = [];
  private pending = new Set<Request>();
  private messages: string[] = [];
  /** The number of messages sent to this process on this link, and of those that have arrived. */
  sent = 0;
  received = 0;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly onMessage: (key: string) => void,
  ) {}

  call<Answer>(execute: () => Answer): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const request: Request = { execute, resolve: resolve as (answer: unknown) => void, reject };
      this.requests.push(request);
      this.pending.add(request);
      this.later('request', () => this.executeNext());
    });
  }

  /** The messages that Redis sends to the subscriber. */
  send(key: string): void {
    this.sent++;
    this.messages.push(key);
    this.later('message', () => {
      const next = this.messages.shift();
      if (next !== undefined) {
        this.received++;
        this.onMessage(next);
      }
    });
  }

  /** The subscriber is lost, together with the messages under way. */
  loseMessages(): void {
    this.messages = [];
    this.received = this.sent;
  }

  /** Every waiting caller is released. Commands that have left may still be executed, until the process reconnects. */
  cut(): void {
    const waiting = [...this.pending];
    this.pending.clear();
    this.replies = [];
    waiting.forEach(({ reject }) => reject(new TierUnavailableError('GET', 'not-connected')));
  }

  /** A new socket: the contents of the old one are lost. */
  reconnect(): void {
    this.requests = [];
    this.replies = [];
  }

  private executeNext(): void {
    const request = this.requests.shift();
    if (request === undefined) {
      return;
    }
    const answer = request.execute();
    if (!this.pending.has(request)) {
      return;
    }
    this.replies.push(() => {
      if (this.pending.delete(request)) {
        request.resolve(answer);
      }
    });
    this.later('reply', () => this.replies.shift()?.());
  }

  private later(what: string, step: () => void): void {
    void this.scheduler.schedule(Promise.resolve(), what).then(step);
  }
}
