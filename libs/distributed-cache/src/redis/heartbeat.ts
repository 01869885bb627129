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
