import type { Scheduler } from 'fast-check';
import { TierUnavailableError } from '../../libs/distributed-cache/src/errors/index.js';

interface Request {
  readonly execute: () => unknown;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The connection of one process to one node. A command leaves, is executed, and is answered, at moments that the scheduler
 * chooses, each in the order of its line: as on a socket, nothing overtakes there, while between lines everything may.
 */
export class LineDouble {
  private requests: Request[] = [];
  private replies: (() => void)[] = [];
  private pending = new Set<Request>();
  private messages: string[] = [];
  /** Messages ever sent to, and heard by, this process on this line. */
  sent = 0;
  heard = 0;

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

  /** What Redis sends to the subscriber. */
  send(key: string): void {
    this.sent++;
    this.messages.push(key);
    this.later('message', () => {
      const next = this.messages.shift();
      if (next !== undefined) {
        this.heard++;
        this.onMessage(next);
      }
    });
  }

  /** The subscriber is lost, and with it what was on its way. */
  loseMessages(): void {
    this.messages = [];
    this.heard = this.sent;
  }

  /** Every waiter is released. What has left may still be executed, until the process connects anew. */
  cut(): void {
    const waiting = [...this.pending];
    this.pending.clear();
    this.replies = [];
    waiting.forEach(({ reject }) => reject(new TierUnavailableError('GET', 'not-connected')));
  }

  /** A new socket: what the old one held is gone. */
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
