import { Flight, GroupRead } from './flight.js';
import { loadScopes } from './loader-run.js';
import type { FoundEntry, LoadOutcome, ReadResult } from './outcomes.js';

/** A joined load that is older than this, in milliseconds, may wait for itself: the detection of load cycles begins. */
const SUSPICIOUS_MS = 1_000;

/** A load lasts longer than other calls may wait for it: the calls that joined it start anew. */
export class FlightOutlivedError extends Error {}

/** The flights of one key, usually one. A flight that is superseded or tainted is removed at once. */
interface Slot {
  readonly flights: Flight[];
  load: Flight | undefined;
  /** The read that other reads may join. */
  read: Flight | undefined;
  readResult: Promise<ReadResult> | undefined;
}

/**
 * The work under way in one namespace of this process, by key. One piece of work (a read of Redis, a load, a write) is a
 * flight. A call for a key joins the load that is there (single flight), so a hundred callers cost one load.
 *
 * A change of a key has one of two effects on its flights. A flight is superseded when this process writes or deletes
 * its key: it sends nothing more to Redis. A flight is tainted when its key may have changed since it began: L1 does not
 * store its result. In both cases the calls that wait get the result, and later calls begin a new flight.
 */
export class Flights {
  /** The keys whose loads are not kept for a while after a deletion, also while Redis can't be used. */
  readonly holdOffs = new HoldOffs();
  /** The loads that wait for another process's load; a change of their key ends the wait. */
  readonly waits = new ChangeWaits();
  readonly slots = new Map<string, Slot>();
  private readonly groups = new Set<GroupRead>();
  /** The loads under way, with their keys: only they carry tags. A batch write has thousands of flights that do not. */
  private readonly loads = new Map<Flight, string>();

  /**
   * Starts a load that other calls may join. `load` must call {@link end} before its promise settles; without it the
   * caller settles the flight.
   */
  beginLoad(key: string, load?: (flight: Flight) => Promise<LoadOutcome>): Flight {
    const flight = new Flight();
    const slot = this.add(key, flight);
    this.loads.set(flight, key);
    if (load !== undefined) {
      flight.start(load);
    }
    if (slot.flights.includes(flight)) {
      slot.load = flight;
    }
    return flight;
  }

  /** The load of this key that a call may {@link join}. A load that lasts too long for other calls is tainted instead. */
  joinable(key: string): Flight | undefined {
    const flight = this.slots.get(key)?.load;
    if (flight === undefined || flight.joined !== undefined || !flight.isOutlived) {
      return flight; // after the first join a timer checks how long the load lasts
    }
    this.taintLoad(key, flight);
    return undefined;
  }

  /**
   * The promise that a joined call waits for: the result of the load. It rejects with a `FlightOutlivedError` when the
   * load lasts too long; only the call that began the load gets its result then.
   */
  join(key: string, flight: Flight): Promise<LoadOutcome> {
    return flight.joined ?? flight.joinAs(resultInTime(flight, () => this.taintLoad(key, flight)));
  }

  /** Ends a load for which no call waits any more; the next call begins a new one. */
  abandon(key: string, flight: Flight, reason: unknown): void {
    flight.abandon(reason);
    this.remove(key, flight);
  }

  /** Reads a key; concurrent reads of it share one request. `read` must call {@link end} before its promise settles. */
  read(key: string, read: (flight: Flight) => Promise<ReadResult>): Promise<ReadResult> {
    const running = this.slots.get(key)?.readResult;
    if (running !== undefined) {
      return running;
    }
    const flight = new Flight();
    const slot = this.add(key, flight);
    const result = read(flight);
    if (slot.flights.includes(flight)) {
      slot.read = flight;
      slot.readResult = result;
    }
    return result;
  }

  /** Starts a read of several keys, which no other call joins; {@link endGroup} ends it. */
  beginGroup(keys: readonly string[]): GroupRead {
    const group = new GroupRead(keys);
    this.groups.add(group);
    return group;
  }

  endGroup(group: GroupRead): void {
    this.groups.delete(group);
  }

  /** Starts a write of one key, which {@link end} ends. It supersedes earlier work, and later changes affect it. */
  beginWrite(key: string): Flight {
    const flight = new Flight();
    this.supersedeFlights(key);
    this.add(key, flight);
    return flight;
  }

  /** Runs a write of several keys: see {@link beginWrite}. */
  async write<Result>(keys: readonly string[], work: (flights: readonly Flight[]) => Promise<Result>): Promise<Result> {
    keys.forEach((key) => this.supersedeFlights(key));
    return this.watch(keys, work);
  }

  /** Runs work with a flight for each key: later changes of the keys taint or supersede these flights. */
  async watch<Result>(keys: readonly string[], work: (flights: readonly Flight[]) => Promise<Result>): Promise<Result> {
    const flights = keys.map((key) => {
      const flight = new Flight();
      this.add(key, flight);
      return flight;
    });
    try {
      return await work(flights);
    } finally {
      flights.forEach((flight, index) => this.remove(keys[index] ?? '', flight));
    }
  }

  /** Removes a flight: at once, or when the work that it does in the background has ended. Does not wait. */
  end(key: string, flight: Flight): void {
    const work = flight.takeBackgroundWork();
    if (work === undefined) {
      this.remove(key, flight);
    } else {
      void this.removeAfter(work, key, flight);
    }
  }

  /** Prepares a load for its loader, which runs next. */
  beginLoader(key: string, flight: Flight, hasLease: boolean, stale: FoundEntry | undefined, nowMs: number): void {
    // remedy: lease-restarts-load
    if (hasLease && flight.isTainted) {
      // The loader has not begun, so it will see all changes so far, for instance the expiry of this key. Later changes
      // end the lease, and Redis refuses the fill. The load is joinable again.
      flight.restart();
      const slot = this.add(key, flight);
      this.loads.set(flight, key);
      slot.load ??= flight;
    }
    flight.beginLoad(hasLease, stale);
    if (this.holdOffs.includes(key, nowMs)) {
      flight.taint();
    }
  }

  /** Supersedes the loads of a key whose loader runs: a refresh begins, which will have a newer value. */
  supersedeLoads(key: string): void {
    for (const flight of this.slots.get(key)?.flights.filter(({ hasRunLoader }) => hasRunLoader) ?? []) {
      flight.supersede();
      this.remove(key, flight);
    }
  }

  /** Supersedes the flights of a key, because this process changes it, and wakes the calls that wait for the key. */
  supersede(key: string): void {
    this.supersedeFlights(key);
    this.waits.end(key);
  }

  /** Supersedes the flights of all keys: see {@link supersede}. */
  supersedeAll(): void {
    [...this.slots.keys()].forEach((key) => this.supersedeFlights(key));
    this.groups.forEach((group) => group.taintAll());
    this.waits.endAll();
  }

  /**
   * Taints the flights of a key, because it has changed elsewhere or may have, and wakes the calls that wait for the key.
   * A load that only waits for another process is not tainted: it has read nothing. A write that is tainted is sent
   * nevertheless, and its value does not stay in L1.
   * @param change `doubted`: the change may be one of this process, from before the work: see `Flight.isDoubted`
   */
  taint(key: string, change?: 'doubted'): void {
    // remedy: message-taints-work
    this.taintWork(key, undefined, change);
    this.waits.end(key);
  }

  /** Taints the flights of all keys: see {@link taint}. */
  taintAll(change?: 'doubted'): void {
    [...this.slots.keys()].forEach((key) => this.taintWork(key, undefined, change));
    this.groups.forEach((group) => group.taintAll());
    this.waits.endAll();
  }

  /** Taints the flights of a key beside its write, which has been answered: they may have read the previous value. */
  taintAllBut(write: Flight, key: string): void {
    this.taintWork(key, (flight) => flight !== write);
    this.waits.end(key); // Redis does not notify a process of its own changes
  }

  /** Taints the flights of a key, except loads that wait, or whose loader runs: it began after the change. */
  taintReads(key: string): void {
    this.taintWork(key, ({ isLoading }) => !isLoading);
  }

  /** Taints the loads that began without a lease: they may have missed changes before Redis could be used. */
  taintUnleased(): void {
    [...this.slots.keys()].forEach((key) => this.taintFlights(key, ({ isUnleased }) => isUnleased));
  }

  /**
   * Taints the flights that carry a tag, which was invalidated. A loader that runs may still add the tag, so no later
   * call joins its load; `LoadTags` checks the tags that a loader has added.
   * @param isCertain `false`: the tag may have been invalidated; then no later call joins the flights that carry it, and
   * they are not tainted
   * @returns whether a flight carries the tag
   */
  onTag(tag: string, isCertain: boolean): boolean {
    let isCarried = false;
    for (const [flight, key] of this.loads) {
      const carries = !flight.isWaiting && flight.tags.includes(tag);
      isCarried ||= carries;
      if (carries && isCertain) {
        flight.taint();
        this.remove(key, flight);
        // remedy: tag-taints-load
      } else if (carries || flight.isLoading) {
        this.stopSharing(key, flight);
      }
    }
    return isCarried;
  }

  private supersedeFlights(key: string): void {
    this.groups.forEach((group) => group.taint(key));
    const slot = this.slots.get(key);
    if (slot !== undefined) {
      this.slots.delete(key);
      slot.flights.forEach((flight) => flight.supersede());
    }
  }

  /** @param isSelected selects the flights to taint; default: all. Reads of several keys are tainted always */
  private taintWork(key: string, isSelected?: (flight: Flight) => boolean, change?: 'doubted'): void {
    this.groups.forEach((group) => group.taint(key));
    this.taintFlights(key, isSelected, change);
  }

  private taintFlights(key: string, isSelected: (flight: Flight) => boolean = () => true, change?: 'doubted'): void {
    const slot = this.slots.get(key);
    if (slot === undefined) {
      return;
    }
    for (const flight of slot.flights.filter((each) => !each.isWaiting && isSelected(each))) {
      flight.taint(change);
      this.remove(key, flight);
    }
  }

  /** Taints one load. Only the call that began it gets its result; later calls begin a new load. */
  private taintLoad(key: string, flight: Flight): void {
    this.taintFlights(key, (each) => each === flight);
  }

  private add(key: string, flight: Flight): Slot {
    const slot = this.slots.get(key);
    if (slot === undefined) {
      const opened: Slot = { flights: [flight], load: undefined, read: undefined, readResult: undefined };
      this.slots.set(key, opened);
      return opened;
    }
    if (!slot.flights.includes(flight)) {
      slot.flights.push(flight);
    }
    return slot;
  }

  private async removeAfter(work: Promise<unknown>, key: string, flight: Flight): Promise<void> {
    for (let next: Promise<unknown> | undefined = work; next !== undefined; next = flight.takeBackgroundWork()) {
      await next;
    }
    this.remove(key, flight);
  }

  private remove(key: string, flight: Flight): void {
    this.loads.delete(flight);
    const slot = this.slots.get(key);
    const index = slot?.flights.indexOf(flight) ?? -1;
    if (slot === undefined || index < 0) {
      return;
    }
    if (slot.flights.length === 1) {
      this.slots.delete(key);
      return;
    }
    slot.flights.splice(index, 1);
    this.stopSharing(key, flight);
  }

  private stopSharing(key: string, flight: Flight): void {
    const slot = this.slots.get(key);
    if (slot?.load === flight) {
      slot.load = undefined;
    }
    if (slot?.read === flight) {
      slot.read = undefined;
      slot.readResult = undefined;
    }
  }
}

/** The result of a load, until it lasts too long for the calls that have joined it. */
function resultInTime(flight: Flight, onOutlived: () => void): Promise<LoadOutcome> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const check = (): void => {
      const { elapsedMs, loadLifeMs } = flight;
      if (elapsedMs >= Math.min(SUSPICIOUS_MS, loadLifeMs)) {
        loadScopes.suspect(2 * loadLifeMs);
      }
      if (flight.isOutlived) {
        onOutlived();
        reject(new FlightOutlivedError());
        return;
      }
      const leftMs = elapsedMs < SUSPICIOUS_MS ? SUSPICIOUS_MS - elapsedMs : loadLifeMs - elapsedMs;
      timer = setTimeout(check, Math.ceil(Math.min(Math.max(leftMs, 1), loadLifeMs)));
      timer.unref();
    };
    void flight.result.then(resolve, reject).finally(() => clearTimeout(timer));
    timer = setTimeout(check, Math.ceil(Math.min(SUSPICIOUS_MS, flight.loadLifeMs)));
    timer.unref();
  });
}

/** Waits for the changes of keys. */
class ChangeWaits {
  private readonly endings = new Map<string, () => void>();

  /**
   * Waits until {@link end} is called for the key, or the time is over. The end of a later wait for the same key ends
   * this one too. A caller waits, so the timer keeps the process alive.
   * @returns `false` when the time is over
   */
  wait(key: string, limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const earlier = this.endings.get(key);
      const end = (isEarly: boolean): void => {
        clearTimeout(timer);
        if (this.endings.get(key) === endEarly) {
          this.endings.delete(key);
        }
        earlier?.();
        resolve(isEarly);
      };
      const endEarly = (): void => end(true);
      const timer = setTimeout(end, limitMs, false);
      this.endings.set(key, endEarly);
    });
  }

  /** Whether a load of this key waits. */
  has(key: string): boolean {
    return this.endings.has(key);
  }

  /** Ends the waits for this key: it has changed, or the awaited load has ended. */
  end(key: string): void {
    this.endings.get(key)?.();
  }

  endAll(): void {
    [...this.endings.values()].forEach((end) => end());
  }
}

/** Maximum number of keys; beyond it the oldest hold-off ends early in this process, and still applies in Redis. */
const MAX_KEYS = 100_000;

/** Below this size a sweep costs more than it saves. */
const SWEEP_FROM = 64;

/** The keys that were deleted with a hold-off, and the time until which loads of them are not kept. */
export class HoldOffs {
  private readonly until = new Map<string, number>();
  /**
   * The size at which hold-offs that have ended are removed: twice what the last sweep left, so a call costs O(1) on
   * average.
   */
  private sweepAt = SWEEP_FROM;

  constructor(private readonly maxKeys = MAX_KEYS) {}

  get size(): number {
    return this.until.size;
  }

  add(key: string, untilMs: number, nowMs: number): void {
    this.until.delete(key); // moves the key to the end: it is the youngest now
    this.until.set(key, untilMs);
    if (this.until.size >= this.sweepAt) {
      this.sweep(nowMs);
    }
    if (this.until.size > this.maxKeys) {
      const [oldest] = this.until.keys();
      this.until.delete(oldest as string);
    }
  }

  includes(key: string, nowMs: number): boolean {
    if (this.until.size === 0) {
      return false;
    }
    const untilMs = this.until.get(key);
    if (untilMs !== undefined && untilMs <= nowMs) {
      this.until.delete(key);
    }
    return untilMs !== undefined && untilMs > nowMs;
  }

  private sweep(nowMs: number): void {
    for (const [key, untilMs] of this.until) {
      if (untilMs <= nowMs) {
        this.until.delete(key);
      }
    }
    this.sweepAt = Math.max(SWEEP_FROM, 2 * this.until.size);
  }
}
