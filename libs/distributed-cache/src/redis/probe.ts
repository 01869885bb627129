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
    if (!isDone) {
      this.later();
    }
  }
}
