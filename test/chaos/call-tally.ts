import type { Call } from './constant-load.js';
import type { MachineNoise } from './machine-noise.js';

/** Sums up calls as they end, so that a soak of any length needs the same memory. */
export class CallTally {
  count = 0;
  errors = 0;
  /** Reads older than an acknowledgement to their own process. */
  ownStale = 0;
  /** The longest time for which a read was out of date by an acknowledgement to another process. */
  staleMs = 0;
  longestMs = 0;
  /** Calls that waited longer than the limit, without the time for which the machine was busy. */
  overdue = 0;
  /** The longest of these waits. */
  longestNet: { readonly call: Call; readonly netMs: number } | undefined;
  /** The number of calls per millisecond of waiting. */
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
        this.#weigh(call);
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

  #weigh(call: Call): void {
    const netMs = netWaitMs(call, this.noise);
    this.overdue += netMs > this.limitMs ? 1 : 0;
    if (netMs > (this.longestNet?.netMs ?? 0)) {
      this.longestNet = { call, netMs };
    }
  }
}

/** The wait of a call, without the time for which the machine was busy meanwhile. */
export function netWaitMs({ askedAtMs, waitedMs }: Call, noise: MachineNoise): number {
  return waitedMs - noise.withinMs(askedAtMs, askedAtMs + waitedMs);
}
