import { CONNECT_ATTEMPT_MS } from './client-options.js';

/** The first attempt to connect, for those who wait for its end. */
export class FirstAttempt {
  private outcome: Promise<void> | undefined;
  private resolve: () => void = () => {};

  /** @param begin called once, at the first call. @returns resolves when the attempt has ended, well or badly */
  start(begin: () => void): Promise<void> {
    if (this.outcome === undefined) {
      // Sockets and timers here are unref'd: without this a program that waits for its first connection would end.
      const keepProcess = setInterval(() => {}, CONNECT_ATTEMPT_MS);
      this.outcome = new Promise((resolve) => {
        this.resolve = () => {
          clearInterval(keepProcess);
          resolve();
        };
      });
      begin();
    }
    return this.outcome;
  }

  end(): void {
    this.resolve();
  }
}
