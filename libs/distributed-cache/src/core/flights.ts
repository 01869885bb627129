import { Flight } from './flight.js';
import { HoldOffs } from './hold-offs.js';
import { loadScopes } from './loader-run.js';
import type { LoadOutcome, ReadResult } from './lookup.js';

/** A flight that other calls have waited for this long, in milliseconds, may be waiting for itself. */
const SUSPICIOUS_MS = 1_000;

/** A joined load has lasted longer than calls wait for a load: the calls that joined go on without it. */
export class FlightOutlivedError extends Error {}

/** The flights of one key that no change has ended; usually one. */
interface Slot {
  readonly flights: Flight[];
  /** The load that other calls may join. */
  load: Flight | undefined;
  /** The read that other reads may join. */
  read: Flight | undefined;
  readResult: Promise<ReadResult> | undefined;
}

/**
 * The work under way in one namespace of this process, by key. A call for a key joins the load that is there (single
 * flight), so a hundred callers cost one load.
 *
 * A change of a key has one of two effects on its flights. `supersede`: this process changes the key, so what is not
 * sent yet must not be sent. `taint`: the key has changed elsewhere, or may have. In both cases the calls that wait get
 * their result, L1 does not keep it, and later calls start anew.
 */
export class Flights {
  /** The keys whose loads are not kept for a while after a deletion, also while Redis can't be used. */
  readonly holdOffs = new HoldOffs();
  /** The loads that wait for another process's load; a change of their key ends the wait. */
  readonly waits = new ChangeWaits();
  private readonly slots = new Map<string, Slot>();
  private readonly groups = new Set<GroupRead>();

  /** Starts a load that other calls may join. `load` itself must call {@link end} before its result is there. */
  beginLoad(key: string, load: (flight: Flight) => Promise<LoadOutcome>): Flight {
    const flight = new Flight();
    const slot = this.enter(key, flight);
    flight.start(load);
    if (slot.flights.includes(flight)) {
      slot.load = flight;
    }
    return flight;
  }

  /** The load of this key that a call may join with {@link join}. */
  joinable(key: string): Flight | undefined {
    const flight = this.slots.get(key)?.load;
    if (flight === undefined || flight.joined !== undefined || !flight.isOutlived) {
      return flight; // after the first join a timer checks how long the load lasts
    }
    this.leaveBehind(key, flight);
    return undefined;
  }

  /**
   * The promise that a joined call waits for: the result of the load. When the load lasts longer than calls wait for
   * one, it is left to the call that began it: the promise rejects with a `FlightOutlivedError`, and the joined calls
   * start anew.
   */
  join(key: string, flight: Flight): Promise<LoadOutcome> {
    return flight.joined ?? flight.joinAs(this.resultInTime(key, flight, flight.result));
  }

  /** Reads a key. Concurrent reads of one key share one request. `read` itself must call {@link end}. */
  read(key: string, read: (flight: Flight) => Promise<ReadResult>): Promise<ReadResult> {
    const running = this.slots.get(key)?.readResult;
    if (running !== undefined) {
      return running;
    }
    const flight = new Flight();
    const slot = this.enter(key, flight);
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
    this.markSuperseded(key);
    this.enter(key, flight);
    return flight;
  }

  /** Runs a write of several keys: see {@link beginWrite}. */
  async write<Result>(keys: readonly string[], work: (flights: readonly Flight[]) => Promise<Result>): Promise<Result> {
    keys.forEach((key) => this.markSuperseded(key));
    return this.watch(keys, work);
  }

  /** Runs work with a flight for each key: later changes of the keys mark these flights. */
  async watch<Result>(keys: readonly string[], work: (flights: readonly Flight[]) => Promise<Result>): Promise<Result> {
    const flights = keys.map((key) => {
      const flight = new Flight();
      this.enter(key, flight);
      return flight;
    });
    try {
      return await work(flights);
    } finally {
      flights.forEach((flight, index) => this.leave(keys[index] ?? '', flight));
    }
  }

  /** Ends work, after what goes on beyond its result. */
  end(key: string, flight: Flight): void {
    const rest = flight.takeRest();
    if (rest === undefined) {
      this.leave(key, flight);
    } else {
      void this.endAfter(rest, key, flight);
    }
  }

  /**
   * Restarts a load whose work begins only now: earlier changes do not count, and calls may join from now on.
   */
  restart(key: string, flight: Flight): void {
    flight.restart();
    const slot = this.enter(key, flight);
    slot.load ??= flight;
  }

  /** This process changes the key: work under way for it is neither sent nor kept. */
  supersede(key: string): void {
    this.markSuperseded(key);
    this.waits.end(key);
  }

  /** This process changes all keys: see {@link supersede}. */
  supersedeAll(): void {
    [...this.slots.keys()].forEach((key) => this.markSuperseded(key));
    this.groups.forEach((group) => group.taintAll());
    this.waits.endAll();
  }

  /**
   * The key has changed elsewhere, or may have. Two kinds of flights go on: a write, because it is the later change,
   * and a load that was only waiting for this change.
   */
  taint(key: string): void {
    // remedy: message-taints-work
    this.mark(key);
    this.waits.end(key);
  }

  /** All keys may have changed: see {@link taint}. */
  taintAll(): void {
    [...this.slots.keys()].forEach((key) => this.mark(key));
    this.groups.forEach((group) => group.taintAll());
    this.waits.endAll();
  }

  /** A write of this process has been answered: other work under way may have read the previous value. */
  taintAllBut(write: Flight, key: string): void {
    this.mark(key, (flight) => flight !== write);
    this.waits.end(key); // Redis does not notify a process of its own changes
  }

  /**
   * Taints reads under way, and the reads of loads. A loader that runs began after the change, so its result may be
   * kept.
   */
  taintReads(key: string): void {
    this.mark(key, ({ isLoading }) => !isLoading);
  }

  /** Redis can be used for the first time: loads that began without it may have missed changes. */
  taintUnleased(): void {
    [...this.slots.keys()].forEach((key) => this.markWork(key, ({ isUnleased }) => isUnleased));
  }

  /**
   * A tag was invalidated: flights that carry it are tainted. A loader that runs may still add the tag, so no later
   * call joins that load; its result is kept unless the tag turns out to be one of its own.
   * @param isCertain `false`: the tag may have been invalidated; then flights that carry it go on, but no later call
   * joins them
   * @returns whether a flight carries the tag
   */
  onTag(tag: string, isCertain: boolean): boolean {
    let isCarried = false;
    for (const key of this.slots.keys()) {
      const flights = this.slots.get(key)?.flights ?? [];
      for (const flight of flights.filter(({ isWaiting }) => !isWaiting)) {
        const carries = flight.tags.includes(tag);
        isCarried ||= carries;
        if (carries && isCertain) {
          flight.taint();
          this.leave(key, flight);
          // remedy: tag-taints-load
        } else if (carries || flight.isLoading) {
          this.stopSharing(key, flight);
        }
      }
    }
    return isCarried;
  }

  private markSuperseded(key: string): void {
    this.groups.forEach((group) => group.taint(key));
    const slot = this.slots.get(key);
    if (slot !== undefined) {
      this.slots.delete(key);
      slot.flights.forEach((flight) => flight.supersede());
    }
  }

  /** @param isMeant selects the flights that are tainted; default: all */
  private mark(key: string, isMeant?: (flight: Flight) => boolean): void {
    this.groups.forEach((group) => group.taint(key));
    this.markWork(key, isMeant);
  }

  private markWork(key: string, isMeant: (flight: Flight) => boolean = () => true): void {
    const slot = this.slots.get(key);
    if (slot === undefined) {
      return;
    }
    for (const flight of slot.flights.filter((each) => !each.isWaiting && isMeant(each))) {
      flight.taint();
      this.leave(key, flight);
    }
  }

  private resultInTime(key: string, flight: Flight, result: Promise<LoadOutcome>): Promise<LoadOutcome> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const check = (): void => {
        const { elapsedMs, lifeMs } = flight;
        if (elapsedMs >= Math.min(SUSPICIOUS_MS, lifeMs)) {
          loadScopes.suspect(2 * lifeMs);
        }
        if (flight.isOutlived) {
          this.leaveBehind(key, flight);
          reject(new FlightOutlivedError());
          return;
        }
        const leftMs = elapsedMs < SUSPICIOUS_MS ? SUSPICIOUS_MS - elapsedMs : lifeMs - elapsedMs;
        timer = setTimeout(check, Math.ceil(Math.min(Math.max(leftMs, 1), lifeMs)));
        timer.unref();
      };
      const end = (): void => clearTimeout(timer);
      result.then(resolve, reject).then(end, end);
      timer = setTimeout(check, Math.ceil(Math.min(SUSPICIOUS_MS, flight.lifeMs)));
      timer.unref();
    });
  }

  /** Leaves a load to the call that began it: its result is not kept, and later calls start anew. */
  private leaveBehind(key: string, flight: Flight): void {
    this.markWork(key, (each) => each === flight);
  }

  private enter(key: string, flight: Flight): Slot {
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

  private async endAfter(rest: Promise<unknown>, key: string, flight: Flight): Promise<void> {
    for (let work: Promise<unknown> | undefined = rest; work !== undefined; work = flight.takeRest()) {
      await work;
    }
    this.leave(key, flight);
  }

  private leave(key: string, flight: Flight): void {
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

/** Waits for the changes of keys. */
class ChangeWaits {
  private readonly endings = new Map<string, () => void>();

  /**
   * Waits until the key changes, or the time is over. A caller waits, so this timer keeps the process alive.
   * @returns whether the wait was ended early
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

  /** Ends the wait for this key: it has changed, or the awaited load has ended. */
  end(key: string): void {
    this.endings.get(key)?.();
  }

  endAll(): void {
    [...this.endings.values()].forEach((end) => end());
  }
}

/** A read of several keys. One object records the changes of all of them: as a rule there are none. */
export class GroupRead {
  private readonly tainted = new Set<string>();
  private areAllTainted = false;
  private index: ReadonlySet<string> | undefined;

  constructor(private readonly keys: readonly string[]) {}

  taint(key: string): void {
    this.index ??= new Set(this.keys);
    if (this.index.has(key)) {
      this.tainted.add(key);
    }
  }

  taintAll(): void {
    this.areAllTainted = true;
  }

  /** The flight of one of its keys. */
  flightOf(key: string): KeyOfGroup {
    return new KeyOfGroup(this, key);
  }

  isTainted(key: string): boolean {
    return this.areAllTainted || this.tainted.has(key);
  }
}

class KeyOfGroup {
  readonly check = undefined;

  constructor(
    private readonly group: GroupRead,
    private readonly key: string,
  ) {}

  get isTainted(): boolean {
    return this.group.isTainted(this.key);
  }
}
