import { CONNECT_ATTEMPT_MS, reconnectDelayMs } from './client-options.js';

const FIRST_DELAY_MS = 100;

/** Asks again and again whether Redis answers, one question at a time, 100 ms doubling to 1 s apart, with jitter. */
export class Probe {
  private isAsking = false;
  private isStopped = false;
  private delayMs = FIRST_DELAY_MS;
  private timer: NodeJS.Timeout | undefined;

  /** @param ask resolves with whether there is no need to ask again; never rejects */
  constructor(private readonly ask: () => Promise<boolean>) {}

  /** Asks now, at the shortest distance again: something has changed. */
  restart(): void {
    this.delayMs = FIRST_DELAY_MS;
    void this.run();
  }

  /** Asks in a while, unless that is planned already. */
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
