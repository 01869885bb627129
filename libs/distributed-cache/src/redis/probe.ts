import { CONNECT_ATTEMPT_MS, reconnectDelayMs } from './client-options.js';

const FIRST_DELAY_MS = 100;

/** Repeats a question until Redis answers it, one at a time, with pauses from 100 ms doubling to 1 s, with jitter. */
export class Probe {
  private isAsking = false;
  private isStopped = false;
  private delayMs = FIRST_DELAY_MS;
  private timer: NodeJS.Timeout | undefined;

  /** @param ask resolves with true when it need not be asked again; never rejects */
  constructor(private readonly ask: () => Promise<boolean>) {}

  /** Asks now, and returns to the shortest pause: something has changed. */
  restart(): void {
    this.delayMs = FIRST_DELAY_MS;
    void this.run();
  }

  /** Asks after the next pause; replaces a question that is planned already. */
  later(): void {
    clearTimeout(this.timer);
    if (this.isStopped) {
      return;
    }
    this.timer = setTimeout(() => void this.run(), reconnectDelayMs(1) + this.delayMs);
    this.timer.unref();
    this.delayMs = Math.min(this.delayMs * 2, CONNECT_ATTEMPT_MS);
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
  }

  private async run(): Promise<void> {
    if (this.isAsking || this.isStopped) {
      return;
    }
    this.isAsking = true;
    const isDone = await this.ask();
    this.isAsking = false;
    if (isDone) {
      this.delayMs = FIRST_DELAY_MS;
    } else {
      this.later();
    }
  }
}

/** Sends a question at regular intervals, and records the time of the last answer. */
export class Heartbeat {
  private timer: NodeJS.Timeout | undefined;
  private answeredAtMs: number | undefined;

  constructor(
    private readonly limits: {
      readonly heartbeatMs: number;
      readonly deadlineMs: number;
      readonly nowMs: () => number;
    },
    private readonly beat: () => void,
  ) {}

  /** Time since the last answer, in milliseconds; `undefined` if there never was one. */
  get sinceAnswerMs(): number | undefined {
    return this.answeredAtMs === undefined ? undefined : this.limits.nowMs() - this.answeredAtMs;
  }

  /**
   * Starts the interval, so that a hung server is found within `heartbeatMs`: the question is sent earlier by the time
   * that its answer may take.
   */
  start(): void {
    const { heartbeatMs, deadlineMs } = this.limits;
    this.stop();
    this.timer = setInterval(this.beat, Math.max(heartbeatMs / 2, heartbeatMs - deadlineMs));
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  onAnswer(): void {
    this.answeredAtMs = this.limits.nowMs();
  }
}
