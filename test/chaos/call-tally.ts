import type { Call } from './constant-load.js';
import type { MachineNoise } from './machine-noise.js';

/** Sums calls up as they come, so that a soak of any length needs the same memory. */
export class CallTally {
  count = 0;
  errors = 0;
  /** Reads that contradict what their own process had acknowledged. */
  ownStale = 0;
  /** The longest that a read was out of date by what another process had acknowledged. */
  staleMs = 0;
  longestMs = 0;
  /** Calls that waited longer than the limit, apart from what the machine was busy with. */
  overdue = 0;
  /** The longest of them. */
  longestNet: { readonly call: Call; readonly netMs: number } | undefined;
  /** How many calls waited so many milliseconds. */
  readonly #waits = new Map<number, number>();

  constructor(
    private readonly limitMs: number,
    private readonly noise: MachineNoise,
  ) {}

  add(calls: readonly Call[]): void {
    for (const call of calls) {
      const { waitedMs } = call;
      const bucket = waitedMs < 10 ? Math.round(waitedMs * 10) / 10 : Math.round(waitedMs);
      this.#waits.set(bucket, (this.#waits.get(bucket) ?? 0) + 1);
      this.count += 1;
      this.errors += call.error === undefined ? 0 : 1;
      this.ownStale += call.ownStaleMs > 0 ? 1 : 0;
      this.staleMs = Math.max(this.staleMs, call.otherStaleMs);
      this.longestMs = Math.max(this.longestMs, waitedMs);
      if (waitedMs > this.limitMs) {
        this.#judge(call);
      }
    }
  }

  /** The wait that this part of the calls did not exceed. */
  quantileMs(part: number): number {
    let left = this.count * part;
    for (const [bucket, count] of [...this.#waits].toSorted(([one], [other]) => one - other)) {
      left -= count;
      if (left <= 0) {
        return bucket;
      }
    }
    return 0;
  }

  #judge(call: Call): void {
    const netMs = netWaitMs(call, this.noise);
    this.overdue += netMs > this.limitMs ? 1 : 0;
    if (netMs > (this.longestNet?.netMs ?? 0)) {
      this.longestNet = { call, netMs };
    }
  }
}

/** What a call waited, apart from what the machine was busy with in the meantime. */
export function netWaitMs({ askedAtMs, waitedMs }: Call, noise: MachineNoise): number {
  return waitedMs - noise.withinMs(askedAtMs, askedAtMs + waitedMs);
}
