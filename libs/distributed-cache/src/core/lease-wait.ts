import type { Stamp } from '../codec/index.js';
import type { Clock } from '../local/index.js';
import type { WaitBudget } from '../redis/index.js';
import type { Flight } from './flight.js';
import type { Flights } from './flights.js';
import type { Lease } from './lease.js';
import { type FoundEntry, type ReadResult, type LeaseAttempt, UNREACHABLE } from './outcomes.js';
import type { EntryReader } from './read.js';
import type { RemoteTier } from './remote-tier.js';
import type { RedisRuntime } from './runtime.js';

/** How a load goes on after the request for the lease. */
export type LoadDecision =
  | {
      /** The key has a value that the callers get. */
      readonly kind: 'serve';
      readonly entry: FoundEntry;
    }
  | {
      /** The loader runs. */
      readonly kind: 'load';
      /**
       * With a grant the result is stored for all processes; without one (no Redis is configured, or it can't be used)
       * only in this process.
       */
      readonly grant: FillGrant | undefined;
      readonly stale: FoundEntry | undefined;
    };

/** The decision to run the loader. */
export type GrantedLoad = Extract<LoadDecision, { kind: 'load' }>;

/** The right to store the result of a load, and the stamps that were current when it began. */
export interface FillGrant {
  readonly lease: Lease;
  readonly stamps: readonly Stamp[];
}

/** A `minTtlMs` that no value reaches: the value is loaded anew in any case. */
export const NEVER_ENOUGH_MS = Infinity;

const MIN_WAIT_MS = 40;
const MAX_WAIT_MS = 400;

/**
 * The pause before the next poll, as a part of the time waited so far: on average, the end of a load is noticed an
 * eighth of its duration late.
 */
const WAIT_PART = 0.125;

/**
 * Maximum number of loads of other processes, ending without a mark, that a call waits for; then it loads by itself.
 */
const MAX_LOADS_AWAITED = 2;

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
export class LeaseQueue {
  constructor(
    private readonly reader: EntryReader,
    private readonly remote: RemoteTier | undefined,
    private readonly flights: Flights,
    readonly missPredictor: MissPredictor,
    private readonly throttle: ReplaceThrottle,
    /** Called when a load begins to wait for another process. */
    private readonly onWait: () => void,
  ) {}

  /**
   * Acquires the lease of a key, if necessary after a wait for another process's load.
   * @param read the result of a read of Redis; absent when the key has not been read yet
   * @param minTtlMs a value is loaded anew when no more than this is left of its TTL, in milliseconds
   */
  async acquireOrWait(
    key: string,
    read: ReadResult | undefined,
    flight: Flight,
    budget: WaitBudget,
    minTtlMs: number,
  ): Promise<LoadDecision> {
    const { remote } = this;
    if (remote === undefined || (read !== undefined && read.stamps === undefined)) {
      return withoutLease(read?.found);
    }
    let awaited: AwaitedLoads | undefined;
    let isFirstRead = read === undefined && minTtlMs === 0;
    let refusedAtMs = read?.refusedAtMs;
    for (;;) {
      const taking = remote.reads.acquire(key, isFirstRead);
      this.missPredictor.guesses += isFirstRead ? 1 : 0;
      const taken = await budget.wait(taking);
      this.missPredictor.guesses -= isFirstRead ? 1 : 0;
      if (taken === undefined) {
        void taking.then(({ lease }) => lease?.release());
        return withoutLease((read ?? this.reader.readLocal(key)).found);
      }
      const checking = this.reader.checkAndKeep(key, taken.lookup, flight, refusedAtMs);
      const result = checking instanceof Promise ? await checking : checking;
      ({ refusedAtMs } = result);
      if (isFirstRead) {
        isFirstRead = false;
        this.missPredictor.learn(result);
      }
      const decision = this.decide(key, result, taken, flight, minTtlMs);
      if (decision !== undefined) {
        return decision;
      }
      const isFirst = awaited === undefined;
      awaited ??= new AwaitedLoads();
      const isAnother = awaited.add(taken.owner);
      if (isFirst) {
        this.onWait();
      } else if (isAnother) {
        const instead = await this.decideAfterWait(key, awaited.count, remote, flight, budget);
        if (instead !== undefined) {
          return instead;
        }
      }
      const isWoken = await this.wait(key, awaited, flight, budget);
      if (isWoken) {
        const lookup = await budget.wait(remote.reads.find(key));
        const filled = await this.reader.checkAndKeep(key, lookup ?? UNREACHABLE, flight, refusedAtMs);
        if (filled.found !== undefined && filled.found.ttlMs > minTtlMs) {
          return { kind: 'serve', entry: filled.found };
        }
        ({ refusedAtMs } = filled);
      }
    }
  }

  /**
   * Acquires the leases of several keys, in pieces, after a read of them.
   * @param newBudget makes the budget of a key that waits for another process
   * @returns for each key, in order, how its load goes on: a promise where it waits
   */
  async acquireMany(
    loads: readonly { readonly encodedKey: string; readonly flight: Flight }[],
    reads: readonly ReadResult[],
    newBudget: () => WaitBudget,
  ): Promise<readonly (LoadDecision | Promise<LoadDecision>)[]> {
    const keys = loads.flatMap(({ encodedKey }, index) => (reads[index]?.stamps === undefined ? [] : [encodedKey]));
    const attempts = await this.remote?.reads.acquireMany(keys);
    return loads.map(({ encodedKey: key, flight }, index) => {
      const attempt = attempts?.get(key);
      if (attempt === undefined) {
        return withoutLease(reads[index]?.found);
      }
      const decide = (read: ReadResult): LoadDecision | Promise<LoadDecision> =>
        this.decide(key, read, attempt, flight, 0) ?? this.acquireOrWait(key, read, flight, newBudget(), 0);
      const checking = this.reader.checkAndKeep(key, attempt.lookup, flight, reads[index]?.refusedAtMs);
      return checking instanceof Promise ? checking.then(decide) : decide(checking);
    });
  }

  /**
   * Decides how to go on after an attempt to take the lease.
   * @returns `undefined` when another process is loading, and there is no stale value to return meanwhile
   */
  private decide(
    key: string,
    { found, stamps, refusedAtMs }: ReadResult,
    { lease, isHeldOff, isRefused }: LeaseAttempt,
    flight: Flight,
    minTtlMs: number,
  ): LoadDecision | undefined {
    if (found !== undefined && found.ttlMs > minTtlMs) {
      void lease?.release();
      return { kind: 'serve', entry: found };
    }
    if (stamps === undefined) {
      void lease?.release();
      return withoutLease(found);
    }
    if (refusedAtMs !== undefined && lease !== undefined && !this.throttle.tryAcquire(key)) {
      void lease.release();
      return withoutLease(undefined);
    }
    if (lease !== undefined) {
      return { kind: 'load', grant: { lease, stamps }, stale: found };
    }
    if (isHeldOff) {
      flight.taint(); // the source may lag behind the deletion: the result is returned, and not kept
      return withoutLease(found);
    }
    if (isRefused) {
      return withoutLease(found);
    }
    return found === undefined || minTtlMs === NEVER_ENOUGH_MS ? undefined : { kind: 'serve', entry: found };
  }

  /**
   * Decides how to go on when the awaited load has ended, and yet another process is loading.
   * @param loadsAwaited how many loads there have been, with the present one
   * @returns the decision to load at once, when the awaited load ended without a value to store, or there were too many
   * loads; `undefined` to wait again
   */
  private async decideAfterWait(
    key: string,
    loadsAwaited: number,
    remote: RemoteTier,
    flight: Flight,
    budget: WaitBudget,
  ): Promise<LoadDecision | undefined> {
    const isEnded = await budget.wait(remote.reads.hasEndedUnfilled(key));
    if (isEnded === undefined) {
      return withoutLease(undefined);
    }
    if (isEnded || loadsAwaited > MAX_LOADS_AWAITED) {
      // remedy: load-without-lease-is-not-kept
      flight.taint(); // answered, and not kept: a deletion that finds no lease of ours ends nothing
      return withoutLease(undefined);
    }
    return undefined;
  }

  /** Waits for a change of the key, or for the next poll. @returns whether the key has changed */
  private async wait(key: string, awaited: AwaitedLoads, flight: Flight, budget: WaitBudget): Promise<boolean> {
    const startedAtMs = performance.now();
    flight.beginRemoteWait();
    const isWoken = await this.flights.waits.wait(key, awaited.nextWaitMs * (0.5 + Math.random()));
    const waitedMs = performance.now() - startedAtMs;
    flight.endRemoteWait(waitedMs);
    awaited.waitedMs += waitedMs;
    budget.renew(); // the time of another process's loader does not count against the deadline of Redis
    return isWoken;
  }
}

/** The loads of other processes that one load has waited for. */
class AwaitedLoads {
  count = 0;
  waitedMs = 0;
  private owner: string | undefined;

  /** Counts the load of this owner of the lease. @returns whether it is another one than before */
  add(owner: string | undefined): boolean {
    const isAnother = this.count === 0 || this.owner !== owner;
    if (isAnother) {
      this.count++;
      this.owner = owner;
    }
    return isAnother;
  }

  /** The pause before the next poll, in milliseconds. */
  get nextWaitMs(): number {
    return Math.min(Math.max(this.waitedMs * WAIT_PART, MIN_WAIT_MS), MAX_WAIT_MS);
  }
}

function withoutLease(stale: FoundEntry | undefined): LoadDecision {
  return { kind: 'load', grant: undefined, stale };
}

/**
 * For this long, in milliseconds, a process that has replaced an entry of another version does not replace that key
 * again.
 */
const REPLACE_AGAIN_AFTER_MS = 60_000;
const MAX_THROTTLED_KEYS = 10_000;

/**
 * Limits how often two versions of an application that run side by side replace each other's entries. Each version
 * finds the other's entries to be misses; if each stored its own with every read, both would load all the time. So a
 * process replaces the other version's entry of a key once in a minute; in between it keeps what it loads only for its
 * own callers.
 */
export class ReplaceThrottle {
  /** When an entry of another version was last replaced, by key, oldest first. */
  private readonly replaced = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  /** Whether this process may replace the other version's entry now; if so, the replacement is recorded. */
  tryAcquire(key: string): boolean {
    const nowMs = this.clock.nowMs();
    const lastMs = this.replaced.get(key);
    if (lastMs !== undefined && nowMs - lastMs < REPLACE_AGAIN_AFTER_MS) {
      return false;
    }
    this.replaced.delete(key);
    this.replaced.set(key, nowMs);
    if (this.replaced.size > MAX_THROTTLED_KEYS) {
      for (const [oldest] of this.replaced) {
        this.replaced.delete(oldest);
        break;
      }
    }
    return true;
  }
}

/** The counter of {@link MissPredictor} from which on a miss is expected. */
const MISS_THRESHOLD = 2;

/** How many leases a namespace may request at once without a read before, after a guess that was wrong. */
const MIN_GUESSES = 32;
/** The same after many misses: each miss allows one more guess, up to this number. */
const MAX_GUESSES = 512;

/**
 * Chooses how the loads of one namespace begin: with a plain read, or with the request for the lease, which also reads
 * the value. A read is cheaper, but one that finds nothing wastes a round trip. So the next load expects the outcome of
 * the last ones: branch prediction with a counter of two bits (Smith, A Study of Branch Prediction Strategies, ISCA
 * 1981). A wrong guess costs what a load without the guess would have cost, or a lease that is released. In a burst that
 * is four commands, where a read would be a part of one. So the number of loads that guess at once is limited, and the
 * limit grows with the misses in a row.
 */
export class MissPredictor {
  /** The counter: 0 and 1 expect a value; 2 and 3 expect none. */
  private misses = MISS_THRESHOLD - 1;
  /** Leases that are being taken without a read before. */
  guesses = 0;
  private maxGuesses = MIN_GUESSES;

  constructor(
    private readonly redis: RedisRuntime | undefined,
    private readonly deadlineMs: number,
  ) {}

  /**
   * Whether a load begins with a plain read.
   * @param minTtlMs see {@link LeaseQueue.acquireOrWait}: above 0 a value that is there is not enough
   */
  readsFirst(minTtlMs: number): boolean {
    if (this.redis === undefined) {
      return true; // the read is of L1
    }
    if (this.redis.home?.isServing === true) {
      return minTtlMs === 0; // the replica is near, and leases are at the primary
    }
    const { isLive, roundTripMs } = this.redis.connection;
    const isGuess = isLive && (this.misses >= MISS_THRESHOLD || roundTripMs > this.deadlineMs / 4);
    return minTtlMs === 0 && !(isGuess && this.guesses < this.maxGuesses);
  }

  /** Learns from what a load found first, by a read or with the lease. */
  learn({ found, stamps }: ReadResult): void {
    if (stamps !== undefined) {
      // otherwise Redis could not be asked
      const isMiss = found === undefined;
      this.misses = isMiss ? Math.min(this.misses + 1, 2 * MISS_THRESHOLD - 1) : Math.max(this.misses - 1, 0);
      this.maxGuesses = isMiss ? Math.min(this.maxGuesses + 1, MAX_GUESSES) : MIN_GUESSES;
    }
  }
}
