import type { Stamp } from '../codec/index.js';
import type { EntryReader, FoundEntry, ReadResult } from './entry-reader.js';
import type { Flight } from './flight-registry.js';
import type { Lease } from './lease.js';
import type { VersionPeace } from './version-peace.js';
import type { RemoteView } from './remote-view.js';
import type { WaitBudget } from './wait-budget.js';

/** What a flight that found no fresh value does next. */
export type Turn =
  | { readonly kind: 'found'; readonly found: FoundEntry }
  | {
      readonly kind: 'load';
      /** With a lease the result is stored for everybody; without one (no Redis, or it is away) only in this process. */
      readonly ticket: LoadTicket | undefined;
      readonly stale: FoundEntry | undefined;
    };

/** The right to store what a load returns, and the stamps that were current when it began. */
export interface LoadTicket {
  readonly lease: Lease;
  readonly stamps: readonly Stamp[];
}

const FIRST_WAIT_MS = 40;
const LONGEST_WAIT_MS = 400;

/**
 * One load a key for the whole cluster. Whoever gets the lease loads; the others take a stale value if there is one, else
 * wait for the fill: the message about the changed key wakes them, and should it be lost, polling with jitter does. If the
 * one that loads dies, its lease ends, and the next to poll takes over. If Redis goes away, nobody waits for it.
 */
export class LoadTurns {
  private readonly waiting = new Map<string, () => void>();

  constructor(
    private readonly reader: EntryReader,
    private readonly remote: RemoteView | undefined,
    private readonly peace: VersionPeace,
    private readonly onWait: () => void,
  ) {}

  /** @param refreshBelowMs a value with no more than this left of its fresh life is to be loaded anew */
  async next(key: string, read: ReadResult, flight: Flight, budget: WaitBudget, refreshBelowMs = 0): Promise<Turn> {
    const { remote } = this;
    if (remote === undefined || read.stamps === undefined) {
      return { kind: 'load', ticket: undefined, stale: read.found };
    }
    let hasWaited = false;
    let { refusedAtMs } = read;
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      const taking = remote.take(key);
      const taken = await budget.wait(taking);
      if (taken === undefined) {
        void taking.then(({ lease }) => lease?.release());
        return { kind: 'load', ticket: undefined, stale: read.found };
      }
      const { lookup, lease, isHeldOff } = taken;
      const accepting = this.reader.accept(key, lookup, flight, refusedAtMs);
      const accepted = accepting instanceof Promise ? await accepting : accepting;
      const { found, stamps } = accepted;
      ({ refusedAtMs } = accepted);
      if (found !== undefined && found.ttlMs > refreshBelowMs) {
        void lease?.release();
        return { kind: 'found', found };
      }
      if (stamps === undefined) {
        return { kind: 'load', ticket: undefined, stale: found };
      }
      if (refusedAtMs !== undefined && lease !== undefined && !this.peace.mayReplace(key)) {
        void lease.release();
        return { kind: 'load', ticket: undefined, stale: undefined };
      }
      if (lease !== undefined) {
        return { kind: 'load', ticket: { lease, stamps }, stale: found };
      }
      if (isHeldOff) {
        flight.overtaken = true; // its source may lag behind the deletion: answered, and not kept
        return { kind: 'load', ticket: undefined, stale: found };
      }
      if (found !== undefined) {
        return { kind: 'found', found };
      }
      if (!hasWaited) {
        hasWaited = true;
        this.onWait();
      }
      flight.isWaiting = true;
      await this.wait(key, waitMs * (0.5 + Math.random()));
      flight.isWaiting = false;
      budget.renew(); // what another process's loader takes is not Redis's time
    }
  }

  /** The key has changed: perhaps what was waited for. */
  wake(key: string): void {
    this.waiting.get(key)?.();
  }

  wakeAll(): void {
    const waiting = [...this.waiting.values()];
    for (const wake of waiting) {
      wake();
    }
  }

  /** A caller is waiting, so this timer keeps the process alive. */
  private wait(key: string, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const earlier = this.waiting.get(key);
      const wake = (): void => {
        clearTimeout(timer);
        if (this.waiting.get(key) === wake) {
          this.waiting.delete(key);
        }
        earlier?.();
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      this.waiting.set(key, wake);
    });
  }
}
