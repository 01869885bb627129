import { TierTimeoutError } from '../errors/index.js';
import type { ClientLink } from './client-link.js';
import type { CommandSender } from './command-sender.js';
import { JUDGEMENT_MS, withinDeadline, type DeadlineClock } from './deadline-clock.js';
import type { InFlight, Judge } from './in-flight.js';
import type { SendCost } from './send-queue.js';
import type { Line, ReplyListener } from './wire-command.js';

/**
 * Sends commands over one connection and reports their replies to listeners. A promise for each step (command, sender,
 * deadline) would cost a hit in Redis more than the read of its entry.
 */
export class LineExchange {
  constructor(
    private readonly link: ClientLink,
    private readonly sender: CommandSender,
    private readonly inFlight: InFlight,
    private readonly judge: Judge,
    private readonly deadlineClock: DeadlineClock,
    private readonly deadlineMs: number,
  ) {}

  /** Whether commands wait for their replies. */
  get isBusy(): boolean {
    return this.sender.unanswered > 0;
  }

  /** The client, if its socket takes commands and its commands keep their order. */
  get ready(): Line | undefined {
    return this.link.line;
  }

  /**
   * Sends an operation and waits at most the deadline. It fails as `RedisConnection.run` does.
   * @param send must report to the listener exactly once, or throw
   */
  run<Reply>(
    line: Line,
    operation: string,
    send: (line: Line, listener: ReplyListener<Reply>) => void,
    cost?: SendCost,
  ): Promise<Reply> {
    return this.inFlight.listen(
      operation,
      this.judge,
      (waiter: ReplyListener<Reply>) => this.sender.sendOnLine(line, operation, send, waiter),
      cost,
    );
  }

  /**
   * Limits further round trips of an operation to what the first has left of the deadline.
   * @param startedAtMs when the first began, by the connection's deadline clock
   */
  withinRest<Result>(operation: string, startedAtMs: number, work: Promise<Result>): Promise<Result> {
    const { deadlineClock, deadlineMs } = this;
    return withinDeadline(work, deadlineClock, startedAtMs + deadlineMs + JUDGEMENT_MS, () => {
      throw new TierTimeoutError(operation, deadlineMs);
    });
  }
}
