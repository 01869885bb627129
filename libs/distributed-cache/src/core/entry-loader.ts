import { toMs, type ResolvedNamespace } from '../config/index.js';
import { LoaderTimeoutError } from '../errors/index.js';
import { readStored, type StoredValue } from '../local/index.js';
import { REAL_TIME } from '../redis/index.js';
import type { CacheRuntime } from './cache-runtime.js';
import { jitteredTtlMs } from './early-refresh.js';
import { entryLife, expectedLifeMs } from './entry-life.js';
import type { EntryOptions, Loader } from './entry-options.js';
import type { EntryReader, ReadResult } from './entry-reader.js';
import type { EntryWriter } from './entry-writer.js';
import type { FirstLook } from './first-look.js';
import { FlightRegistry, type Flight } from './flight-registry.js';
import { HoldOffs } from './hold-offs.js';
import { isOutlived, JoinedFlights } from './joined-flights.js';
import { LoadContext } from './load-context.js';
import { LoadTags } from './load-tags.js';
import { outcomeOf, type LoadOutcome } from './load-outcome.js';
import type { LoadTicket, LoadTurns, Turn } from './load-turns.js';
import { runTimed } from './loader-run.js';
import { unmeasured } from './local-values.js';
import type { LookupRecorder } from './lookup-recorder.js';
import { TagRegistry } from './tag-registry.js';
import { WaitBudget } from './wait-budget.js';

/** The state of a flight that has found no fresh value. */
interface Fruitless {
  readonly flight: Flight;
  /** Absent when the lease is taken without a read before it. */
  readonly read: ReadResult | undefined;
  /** When the flight began, by the deadline clock. */
  readonly startedAtMs: number;
  readonly refreshBelowMs: number;
}

type LoadTurn = Extract<Turn, { kind: 'load' }>;

/**
 * Gets a value that L1 does not have fresh: from Redis, else from the loader, whose result is stored in Redis and L1.
 * There is one flight per key in this process (single flight) and one load per key in the cluster; the loader runs at
 * most once in a flight. If it throws, the flight returns a stale value that is still in its grace; without one, its
 * error, the same object, reaches every caller.
 */
export class EntryLoader {
  /** The loads and writes under way. A write overtakes the loads of its keys and is overtaken by later writes. */
  readonly flights = new FlightRegistry<LoadOutcome>();
  readonly joins = new JoinedFlights(this.flights);
  private readonly holdOffs = new HoldOffs();
  private readonly deadlineClock: { nowMs(): number };

  constructor(
    private readonly runtime: CacheRuntime,
    private readonly namespace: ResolvedNamespace,
    private readonly reader: EntryReader,
    private readonly writer: EntryWriter,
    private readonly firstLook: FirstLook,
    private readonly turns: LoadTurns,
    private readonly tags: TagRegistry,
    private readonly recorder: LookupRecorder,
    private readonly name: string,
  ) {
    this.deadlineClock = runtime.redis?.connection.deadlineClock ?? REAL_TIME;
  }

  /** Starts a flight for a key without a fresh value. */
  start<T>(key: string, loader: Loader<T>, options: EntryOptions<T> | undefined): Flight {
    return this.flights.begin(key, (flight) => {
      return this.fly(key, loader, options, flight);
    });
  }

  /**
   * Refreshes a value in the background while it is still fresh, once in the cluster. A call that needs the value after
   * its expiry joins; if the loader throws, the present value stays.
   */
  refresh<T>(key: string, loader: Loader<T>, options: EntryOptions<T> | undefined, ttlMs: number): void {
    if (this.joins.running(key) === undefined) {
      const refreshing = this.flights.share(key, (flight) => this.fly(key, loader, options, flight, ttlMs));
      refreshing.catch(() => {}); // the error is counted; the callers have the present value
    }
  }

  /** This process has changed the key: the results of loads under way for it are not kept. */
  detach(key: string): void {
    this.flights.detach(key);
    this.turns.wake(key);
  }

  /**
   * Another process has changed the key. If a load here waits for that fill, it goes on; otherwise the results of loads
   * under way are not kept.
   */
  onChanged(key: string): void {
    this.flights.doubt(key);
    this.turns.wake(key);
  }

  /** The awaited load of another process has ended, without a change of the key. */
  onEnded(key: string): void {
    this.turns.wake(key);
  }

  /** A write of this process has been answered: work that began beside it may have read the previous value. */
  onWritten(key: string, flight: Flight): void {
    this.flights.doubt(key, (other) => other !== flight);
    this.turns.wake(key); // Redis does not notify a process of its own changes
  }

  /** Redis can be used for the first time: loads that began without it may have missed changes. */
  doubtUnleased(): void {
    this.flights.doubtAll(({ isUnleased }) => isUnleased);
  }

  /** Any key may have been changed by others. */
  doubtAll(): void {
    this.flights.doubtAll();
    this.turns.wakeAll();
  }

  /**
   * For this long, in milliseconds, the results of new loads of this key are not kept in this process, also while
   * Redis can't be used.
   */
  holdOff(key: string, holdOffMs: number): void {
    const nowMs = this.runtime.clock.nowMs();
    this.holdOffs.add(key, nowMs + holdOffMs, nowMs);
  }

  detachAll(): void {
    this.flights.detachAll();
    this.turns.wakeAll();
  }

  /**
   * Reads Redis first. The code of a load is a separate method, so that a hit keeps few local variables.
   * @param refreshBelowMs a value is loaded anew when no more than this is left of its fresh life, in milliseconds
   */
  private async fly<T>(
    key: string,
    loader: Loader<T>,
    options: EntryOptions<T> | undefined,
    flight: Flight,
    refreshBelowMs = 0,
  ): Promise<LoadOutcome> {
    const startedAtMs = this.deadlineClock.nowMs();
    try {
      const { hardTimeout } = options ?? {};
      flight.label = `${this.name}:${key}`;
      flight.lifeMs = Math.max(this.runtime.loadLifeMs, hardTimeout === undefined ? 0 : toMs(hardTimeout));
      flight.check = this.reader.checks.of(options);
      flight.tags = TagRegistry.namesOf(options?.tags);
      if (!this.firstLook.isDue(refreshBelowMs)) {
        return await this.takeTurn(key, loader, options, { flight, read: undefined, startedAtMs, refreshBelowMs });
      }
      const finding = this.reader.find(key);
      const accepting =
        finding === undefined ? this.reader.readLocal(key) : this.reader.accept(key, await finding, flight);
      const read = accepting instanceof Promise ? await accepting : accepting;
      this.firstLook.learn(read);
      return read.found !== undefined && read.found.ttlMs > refreshBelowMs
        ? outcomeOf(read.found)
        : await this.takeTurn(key, loader, options, { flight, read, startedAtMs, refreshBelowMs });
    } finally {
      this.flights.end(key, flight);
    }
  }

  private async takeTurn<T>(
    key: string,
    loader: Loader<T>,
    options: EntryOptions<T> | undefined,
    { flight, read, startedAtMs, refreshBelowMs }: Fruitless,
  ): Promise<LoadOutcome> {
    const { deadlineClock } = this;
    const budget = new WaitBudget(deadlineClock, this.runtime.config.deadlineMs, deadlineClock.nowMs() - startedAtMs);
    if (flight.tags.length > 0 && this.runtime.redis !== undefined) {
      // Sent together with the request for the lease, at no further round trip: the stamps are known when the load
      // begins.
      this.tags.stamps(flight.tags, expectedLifeMs(this.namespace, options)).catch(() => {});
    }
    const turn = await this.turns.next(key, read, flight, budget, refreshBelowMs);
    if (turn.kind === 'found') {
      return outcomeOf(turn.found);
    }
    if (flight.isLeft && flight.joined === undefined) {
      void turn.ticket?.lease.release();
      throw (flight.givenUp = new LoaderTimeoutError(flight.lifeMs)); // no call waits for it any more
    }
    return this.load(key, loader, options, turn, flight, budget);
  }

  private async load<T>(
    key: string,
    loader: Loader<T>,
    options: EntryOptions<T> | undefined,
    turn: LoadTurn,
    flight: Flight,
    budget: WaitBudget,
  ): Promise<LoadOutcome> {
    if (turn.ticket !== undefined && flight.overtaken) {
      // The loader will see all changes so far (one may have been the expiry of this very key), and the lease protects
      // against later ones.
      this.flights.renew(key, flight);
    }
    flight.isUnleased = turn.ticket === undefined;
    flight.isLoading = true;
    flight.overtaken ||= this.holdOffs.includes(key, this.runtime.clock.nowMs());
    flight.stale = turn.stale;
    return this.loadAndKeep(key, loader, options, turn, flight, budget);
  }

  private async loadAndKeep<T>(
    key: string,
    loader: Loader<T>,
    options: EntryOptions<T> | undefined,
    { ticket, stale }: LoadTurn,
    flight: Flight,
    budget: WaitBudget,
  ): Promise<LoadOutcome> {
    const { clock, loadSignals } = this.runtime;
    const context = new LoadContext(loadSignals, stale === undefined ? undefined : readStored(stale.stored), [flight]);
    ticket?.lease.startRenewing(() => isOutlived(flight));
    const lifeMs = (): number => expectedLifeMs(this.namespace, options);
    // Without the stamps the result can't be kept.
    const tagging = LoadTags.begin(this.runtime, this.tags, flight.tags, ticket && lifeMs).catch(() => undefined);
    const tags = flight.tags.length === 0 ? await tagging : await budget.wait(tagging);
    const startedAtMs = clock.nowMs();
    const beganAtMs = performance.now();
    flight.loadingSinceMs ??= beganAtMs;
    const waitedMs = beganAtMs - flight.loadingSinceMs;
    let value: T;
    try {
      value = await runTimed(loader, context, options?.hardTimeout, waitedMs, clock, (durationMs, hasFailed) =>
        this.recorder.load(key, durationMs, hasFailed),
      );
    } catch (error) {
      void ticket?.lease.releaseUnfilled();
      flight.givenUp = context.abortedBy === error ? context.abortedBy : undefined;
      if (stale === undefined || options?.staleIf?.(error) === false) {
        throw error;
      }
      return outcomeOf(stale);
    } finally {
      flight.loadingSinceMs = undefined;
    }
    flight.isLoading = false;
    if (context.addedTags.length > 0) {
      flight.tags = [...flight.tags, ...context.addedTags];
    }
    const loaded = { key, value, flight, loadMs: clock.nowMs() - startedAtMs };
    const keeping = this.keep(loaded, context, options, tags, ticket);
    flight.rest = keeping.catch(() => {});
    const kept = await budget.wait(keeping);
    // Not stored in time: storing goes on, while the caller gets the value.
    const { stored, isKept } = kept ?? { stored: unmeasured(value), isKept: false };
    return { source: 'loader', stored, kept: isKept, hadStale: stale !== undefined };
  }

  /** Stores the loader's result, or releases the lease. @throws what the options' own functions throw */
  private async keep<T>(
    loaded: { key: string; value: T; flight: Flight; loadMs: number },
    context: LoadContext,
    options: EntryOptions<T> | undefined,
    tags: LoadTags | undefined,
    ticket: LoadTicket | undefined,
  ): Promise<{ stored: StoredValue; isKept: boolean }> {
    const { key, value, flight } = loaded;
    let isComplete = false;
    let isOvertaken = false;
    try {
      if (context.isSkipped || flight.overtaken || options?.cacheIf?.(value) === false) {
        return { stored: unmeasured(value), isKept: false };
      }
      const { ttlMs, graceMs } = entryLife(value, this.namespace, options, context.chosenTtl);
      const life = { ttlMs: jitteredTtlMs(ttlMs, this.runtime.random), graceMs };
      const loadedTags = await tags?.end(context.addedTags, ticket !== undefined).catch(() => undefined);
      if (loadedTags === undefined) {
        return { stored: unmeasured(value), isKept: false };
      }
      const { names, marks, stamps } = loadedTags;
      const { stored, kept, complete, overtaken } = await this.writer.writeLoaded(
        { ...loaded, life, tags: names, marks, check: flight.check },
        ticket && (stamps.length === 0 ? ticket : { lease: ticket.lease, stamps: [...ticket.stamps, ...stamps] }),
      );
      isComplete = complete;
      isOvertaken = overtaken;
      if (overtaken) {
        this.recorder.leaseLost();
      }
      if (kept) {
        this.recorder.set(key, life.ttlMs, complete);
      }
      return { stored, isKept: kept };
    } finally {
      ticket?.lease.stopRenewing();
      if (!isComplete) {
        // Overtaken: the lease is gone already, and other calls may wait for another load that is under way.
        void (isOvertaken ? ticket?.lease.release() : ticket?.lease.releaseUnfilled());
      }
    }
  }
}
