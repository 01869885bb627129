import type { Stamp } from '../codec/index.js';
import type { EntryReader, ReadResult } from './entry-reader.js';
import type { FirstLook } from './first-look.js';
import type { Flight } from './flight-registry.js';
import type { Lease } from './lease.js';
import type { FoundEntry } from './load-outcome.js';
import type { VersionPeace } from './version-peace.js';
import { UNREACHABLE, type TakeOutcome } from './remote-contract.js';
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

const SHORTEST_WAIT_MS = 40;
const LONGEST_WAIT_MS = 400;

/** The pause before the next look, by what has been waited for already: the end of a load is noticed an eighth of its time late, on average. */
const WAIT_PART = 0.125;

/** So many loads of other processes that end without a trace a call waits for; then it loads by itself. */
const MOST_LOADS_AWAITED = 2;

/**
 * One load per key for the whole cluster. The process that gets the lease loads; the others take a stale value if there is one, else
 * wait for the fill: the message about the changed key wakes them, and should it be lost, polling with jitter does. If the
 * process that loads dies, its lease ends, and the next to poll takes over. If Redis goes away, no call waits for it.
 *
 * A load that ends without a value to store (an error, `skip`, `cacheIf`) leaves a mark. The processes that waited for it then load at
 * once, in parallel: one of them under the lease, the others only for their own callers. So a call waits for one load of another process
 * at most, and for a second one only after the first was lost with its process or overtaken by a deletion.
 */
export class LoadTurns {
  private readonly waiting = new Map<string, () => void>();

  constructor(
    private readonly reader: EntryReader,
    private readonly remote: RemoteView | undefined,
    private readonly firstLook: FirstLook,
    private readonly peace: VersionPeace,
    private readonly onWait: () => void,
  ) {}

  /**
   * @param read what a read of Redis has found; absent: nobody has looked yet
   * @param refreshBelowMs a value with no more than this left of its fresh life is to be loaded anew
   */
  async next(
    key: string,
    read: ReadResult | undefined,
    flight: Flight,
    budget: WaitBudget,
    refreshBelowMs = 0,
  ): Promise<Turn> {
    const { remote } = this;
    if (remote === undefined || (read !== undefined && read.stamps === undefined)) {
      return withoutLease(read?.found);
    }
    let isFirstLook = read === undefined && refreshBelowMs === 0;
    let refusedAtMs = read?.refusedAtMs;
    let awaited: string | undefined;
    let loadsAwaited = 0;
    let waitedMs = 0;
    for (;;) {
      const taking = remote.leases.take(key, isFirstLook);
      if (isFirstLook) {
        this.firstLook.guess(taking);
      }
      const taken = await budget.wait(taking);
      if (taken === undefined) {
        void taking.then(({ lease }) => lease?.release());
        return withoutLease((read ?? this.reader.readLocal(key)).found);
      }
      const accepting = this.reader.accept(key, taken.lookup, flight, refusedAtMs);
      const accepted = accepting instanceof Promise ? await accepting : accepting;
      ({ refusedAtMs } = accepted);
      if (isFirstLook) {
        isFirstLook = false;
        this.firstLook.learn(accepted);
      }
      const turn = this.decide(key, accepted, taken, flight, refreshBelowMs);
      if (turn !== undefined) {
        return turn;
      }
      if (loadsAwaited === 0) {
        this.onWait();
      }
      if (loadsAwaited === 0 || taken.owner !== awaited) {
        loadsAwaited++;
        const isEnded = loadsAwaited > 1 && (await budget.wait(remote.leases.hasEndedUnfilled(key)));
        if (isEnded === undefined) {
          return withoutLease(undefined);
        }
        if (isEnded || loadsAwaited > MOST_LOADS_AWAITED) {
          flight.overtaken = true; // answered, and not kept: a deletion that finds no lease of ours ends nothing
          return withoutLease(undefined);
        }
        awaited = taken.owner;
      }
      const waitMs = Math.min(Math.max(waitedMs * WAIT_PART, SHORTEST_WAIT_MS), LONGEST_WAIT_MS);
      const startedAtMs = performance.now();
      flight.loadingSinceMs ??= startedAtMs;
      flight.isWaiting = true;
      const isWoken = await this.wait(key, waitMs * (0.5 + Math.random()));
      flight.isWaiting = false;
      waitedMs += performance.now() - startedAtMs;
      budget.renew(); // what another process's loader takes is not Redis's time
      if (isWoken) {
        const filled = await this.read(key, remote, flight, budget, refusedAtMs);
        if (filled.found !== undefined && filled.found.ttlMs > refreshBelowMs) {
          return { kind: 'found', found: filled.found };
        }
        ({ refusedAtMs } = filled);
      }
    }
  }

  /** @returns `undefined`: another process is loading, and there is nothing to go on with meanwhile */
  private decide(
    key: string,
    { found, stamps, refusedAtMs }: ReadResult,
    { lease, isHeldOff, isRefused }: TakeOutcome,
    flight: Flight,
    refreshBelowMs: number,
  ): Turn | undefined {
    if (found !== undefined && found.ttlMs > refreshBelowMs) {
      void lease?.release();
      return { kind: 'found', found };
    }
    if (stamps === undefined) {
      void lease?.release();
      return withoutLease(found);
    }
    if (refusedAtMs !== undefined && lease !== undefined && !this.peace.mayReplace(key)) {
      void lease.release();
      return withoutLease(undefined);
    }
    if (lease !== undefined) {
      return { kind: 'load', ticket: { lease, stamps }, stale: found };
    }
    if (isHeldOff) {
      flight.overtaken = true; // its source may lag behind the deletion: answered, and not kept
      return withoutLease(found);
    }
    if (isRefused) {
      return withoutLease(found);
    }
    return found === undefined ? undefined : { kind: 'found', found };
  }

  private async read(
    key: string,
    remote: RemoteView,
    flight: Flight,
    budget: WaitBudget,
    refusedAtMs?: number,
  ): Promise<ReadResult> {
    const lookup = await budget.wait(remote.find(key));
    return this.reader.accept(key, lookup ?? UNREACHABLE, flight, refusedAtMs);
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

  /** A caller is waiting, so this timer keeps the process alive. @returns whether something has happened to the key */
  private wait(key: string, waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const earlier = this.waiting.get(key);
      const end = (isWoken: boolean): void => {
        clearTimeout(timer);
        if (this.waiting.get(key) === wake) {
          this.waiting.delete(key);
        }
        earlier?.();
        resolve(isWoken);
      };
      const wake = (): void => end(true);
      const timer = setTimeout(end, waitMs, false);
      this.waiting.set(key, wake);
    });
  }
}

function withoutLease(stale: FoundEntry | undefined): Turn {
  return { kind: 'load', ticket: undefined, stale };
}
