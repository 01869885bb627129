/** Asks at regular intervals, and remembers when there was an answer last. */
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

  /** From now on a hung server shows within `heartbeatMs`: the question is asked so much earlier as its answer may take. */
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
