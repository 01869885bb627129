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

/** The next step of a flight that has found no fresh value. */
export type Turn =
  | { readonly kind: 'found'; readonly found: FoundEntry }
  | {
      readonly kind: 'load';
      /**
       * With a lease the result is stored for all processes; without one (no Redis is configured, or it can't be used)
       * only in this process.
       */
      readonly ticket: LoadTicket | undefined;
      readonly stale: FoundEntry | undefined;
    };

/** The right to store the result of a load, and the stamps that were current when it began. */
export interface LoadTicket {
  readonly lease: Lease;
  readonly stamps: readonly Stamp[];
}

const SHORTEST_WAIT_MS = 40;
const LONGEST_WAIT_MS = 400;

/**
 * The pause before the next poll, as a part of the time waited so far: on average, the end of a load is noticed an
 * eighth of its duration late.
 */
const WAIT_PART = 0.125;

/**
 * Maximum number of loads of other processes, ending without a mark, that a call waits for; then it loads by itself.
 */
const MOST_LOADS_AWAITED = 2;

/**
 * Ensures one load per key for the whole cluster. The process that gets the lease loads. The others take a stale value
 * if there is one; otherwise they wait for the fill. The message about the changed key wakes them; if it is lost,
 * polling with jitter does. If the process that loads dies, its lease ends, and the next process that polls takes over.
 * If Redis can't be used any more, no call waits for it.
 *
 * A load that ends without a value to store (an error, `skip`, `cacheIf`) leaves a mark. The processes that waited for
 * it then load at once, in parallel: one of them under the lease, the others only for their own callers. So a call
 * waits for one load of another process at most, and for a second one only after the first was lost with its process or
 * overtaken by a deletion.
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
   * Decides the next step of a flight, if necessary after a wait for another process's load.
   * @param read the result of a read of Redis; absent when the key has not been read yet
   * @param refreshBelowMs a value is loaded anew when no more than this is left of its fresh life, in milliseconds
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
      budget.renew(); // the time of another process's loader does not count against the deadline of Redis
      if (isWoken) {
        const filled = await this.read(key, remote, flight, budget, refusedAtMs);
        if (filled.found !== undefined && filled.found.ttlMs > refreshBelowMs) {
          return { kind: 'found', found: filled.found };
        }
        ({ refusedAtMs } = filled);
      }
    }
  }

  /**
   * Decides the next step after an attempt to take the lease.
   * @returns `undefined` when another process is loading, and there is no stale value to return meanwhile
   */
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
      flight.overtaken = true; // the source may lag behind the deletion: the result is returned, and not kept
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

  /** Wakes the wait for this key: it has changed, possibly by the awaited fill. */
  wake(key: string): void {
    this.waiting.get(key)?.();
  }

  wakeAll(): void {
    const waiting = [...this.waiting.values()];
    for (const wake of waiting) {
      wake();
    }
  }

  /**
   * Waits until the key is woken, or the time is over. A caller waits, so this timer keeps the process alive.
   * @returns whether the key was woken
   */
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
