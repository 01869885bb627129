import { CONNECT_ATTEMPT_MS } from './client-options.js';

/** The first attempt to connect, and a promise of its end for the callers that wait for it. */
export class FirstAttempt {
  private outcome: Promise<void> | undefined;
  private resolve: () => void = () => {};

  /**
   * Starts the attempt at the first call, by `begin`.
   * @returns resolves when the attempt has ended, whether or not it succeeded
   */
  start(begin: () => void): Promise<void> {
    if (this.outcome === undefined) {
      // Sockets and timers here are unref'd: without this timer a program that waits for its first connection would
      // end.
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
