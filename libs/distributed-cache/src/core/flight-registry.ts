import type { LoaderTimeoutError } from '../errors/index.js';
import { GroupFlight } from './group-flight.js';
import type { FoundEntry } from './load-outcome.js';
import type { WaitedLoad } from './load-scope.js';
import type { ValueCheck } from './value-check.js';

/** One piece of work on one key in this process: a load, a read of Redis, or a write. */
export interface Flight extends WaitedLoad {
  /**
   * Set when the key has changed meanwhile: the result is still returned to the calls that wait for it, but L1 does not
   * keep it.
   */
  overtaken: boolean;
  /**
   * Set when this process itself made a later change of the key: a write that has not been sent yet must not be sent
   * any more.
   */
  isReplaced: boolean;
  /**
   * Set while the flight only waits for another process to fill the key: it has read nothing that could be outdated.
   */
  isWaiting: boolean;
  /** Set for a load without a lease: Redis could not be asked. */
  isUnleased: boolean;
  /** Set while the loader runs, which may add tags: until it ends, `tags` may be incomplete. */
  isLoading: boolean;
  /** The tags that the result will carry, as far as they are known. */
  tags: readonly string[];
  /** The check that a value from Redis must pass, when it is not the namespace's check. */
  check: ValueCheck | undefined;
  /** Work that is still under way although the result is there: until it has ended, the flight can be overtaken. */
  rest: Promise<unknown> | undefined;
  /** The result, which other calls may wait for. */
  result: Promise<unknown> | undefined;
  /** The promise that joined calls wait for: the result, unless the flight lasts too long. */
  joined: Promise<unknown> | undefined;
  label: string;
  loadingSinceMs: number | undefined;
  /** Set while the load waits for the others of its batch: that time does not count as its loader's. */
  isInQueue: boolean;
  /** The stale value that replaces the result after a timeout. */
  stale: FoundEntry | undefined;
  /** The longest wait of other calls for the flight, in milliseconds. */
  lifeMs: number;
  /**
   * Set when the flight was given up at the `hardTimeout` of the call that began it; this error concerns that call
   * alone.
   */
  givenUp: LoaderTimeoutError | undefined;
  /** Set when the call that began the flight no longer waits for it. */
  isLeft: boolean;
}

/** The flights of one key that no change has overtaken; usually one. */
interface Slot<Result> {
  readonly flights: Flight[];
  /** The result that other calls may wait for; absent in a slot that holds only writes. */
  shared: Promise<Result> | undefined;
  sharedBy: Flight | undefined;
}

/**
 * The work under way, by key. A call for a key joins the flight that is there (single flight), so a hundred callers
 * cost one load. A write or deletion detaches the flights: the calls that wait get their result, and later calls start
 * anew.
 */
export class FlightRegistry<Result> {
  private readonly slots = new Map<string, Slot<Result>>();
  private readonly groups = new Set<GroupFlight>();

  /** Number of keys with work under way. */
  get size(): number {
    return this.slots.size;
  }

  /** The result of the running flight of this key, if there is one to wait for. */
  running(key: string): Promise<Result> | undefined {
    return this.slots.get(key)?.shared;
  }

  /** The running flight of this key itself, if there is one to wait for. */
  runningFlight(key: string): Flight | undefined {
    return this.slots.get(key)?.sharedBy;
  }

  /**
   * Starts work that other calls may join until it ends or is overtaken. `work` itself must call {@link end}, whether
   * it succeeds or fails, before its result is there: a call after a failure then starts anew.
   */
  share(key: string, work: (flight: Flight) => Promise<Result>): Promise<Result> {
    return this.begin(key, work).result as Promise<Result>;
  }

  /** Starts work as {@link share} does. @returns the flight, with its result */
  begin(key: string, work: (flight: Flight) => Promise<Result>): Flight {
    const flight = newFlight();
    const slot = this.enter(key, flight);
    const result = work(flight);
    flight.result = result;
    if (slot.flights.includes(flight)) {
      slot.shared = result;
      slot.sharedBy = flight;
    }
    return flight;
  }

  /** Ends shared work, after its rest. */
  end(key: string, flight: Flight): void {
    if (flight.rest === undefined) {
      this.leave(key, flight);
    } else {
      void this.endAfterRest(key, flight);
    }
  }

  /**
   * Starts a read of several keys that other calls can't join; it is marked when one of the keys changes.
   * {@link endGroup} ends it.
   */
  beginGroup(keys: readonly string[]): GroupFlight {
    const group = new GroupFlight(keys);
    this.groups.add(group);
    return group;
  }

  endGroup(group: GroupFlight): void {
    this.groups.delete(group);
  }

  /**
   * Starts a write of one key, which {@link end} ends: it overtakes the work under way, and can itself be overtaken.
   */
  beginWrite(key: string): Flight {
    const flight = newFlight();
    this.detach(key);
    this.enter(key, flight);
    return flight;
  }

  /** Starts a write of several keys: it overtakes the work under way for them, and can itself be overtaken. */
  async overtake<Own>(keys: readonly string[], work: (flights: readonly Flight[]) => Promise<Own>): Promise<Own> {
    keys.forEach((key) => this.detach(key));
    return this.watch(keys, work);
  }

  /** Starts work that other calls can't join, but whose flights are marked when it is overtaken. */
  async watch<Own>(keys: readonly string[], work: (flights: readonly Flight[]) => Promise<Own>): Promise<Own> {
    const watched = keys.map((key) => {
      const flight = newFlight();
      this.enter(key, flight);
      return { key, flight };
    });
    try {
      return await work(watched.map(({ flight }) => flight));
    } finally {
      for (const { key, flight } of watched) {
        this.leave(key, flight);
      }
    }
  }

  /** This process changes the key: work under way for it is neither sent nor kept. */
  detach(key: string): void {
    for (const group of this.groups) {
      group.overtake(key);
    }
    const slot = this.slots.get(key);
    if (slot !== undefined) {
      this.slots.delete(key);
      for (const flight of slot.flights) {
        flight.overtaken = true;
        flight.isReplaced = true;
      }
    }
  }

  /** This process changes all keys: see {@link detach}. */
  detachAll(): void {
    [...this.slots.keys()].forEach((key) => this.detach(key));
    for (const group of this.groups) {
      group.overtakeAll();
    }
  }

  /**
   * The key has changed, or may have. Work under way for it is not kept, and later calls do not join it. Two kinds of
   * flights go on: a write, because it is the later change, and a flight that was only waiting for this change.
   * @param isMeant selects the flights; default: all others
   */
  doubt(key: string, isMeant: (flight: Flight) => boolean = () => true): void {
    const slot = this.slots.get(key);
    if (slot === undefined) {
      return;
    }
    for (const flight of slot.flights.filter((each) => !each.isWaiting && isMeant(each))) {
      flight.overtaken = true;
      this.leave(key, flight);
    }
  }

  /**
   * Restarts a flight whose work begins only now: earlier changes have not overtaken it, and calls may join from now
   * on.
   */
  renew(key: string, flight: Flight): void {
    flight.overtaken = false;
    flight.isReplaced = false;
    const slot = this.enter(key, flight);
    if (slot.shared === undefined) {
      slot.shared = flight.result as Promise<Result> | undefined;
      slot.sharedBy = flight;
    }
  }

  /**
   * A tag was invalidated: flights that carry it are marked as in {@link doubt}. A loader that runs may still add the
   * tag, so no later call joins that flight; its result is kept unless the tag turns out to be one of its own.
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
          flight.overtaken = true;
          this.leave(key, flight);
        } else if (carries || flight.isLoading) {
          this.stopSharing(key, flight);
        }
      }
    }
    return isCarried;
  }

  /** All keys may have changed: see {@link doubt}. */
  doubtAll(isMeant?: (flight: Flight) => boolean): void {
    [...this.slots.keys()].forEach((key) => this.doubt(key, isMeant));
  }

  private enter(key: string, flight: Flight): Slot<Result> {
    const slot = this.slots.get(key);
    if (slot === undefined) {
      const opened: Slot<Result> = { flights: [flight], shared: undefined, sharedBy: undefined };
      this.slots.set(key, opened);
      return opened;
    }
    if (!slot.flights.includes(flight)) {
      slot.flights.push(flight);
    }
    return slot;
  }

  private async endAfterRest(key: string, flight: Flight): Promise<void> {
    for (let { rest } = flight; rest !== undefined; { rest } = flight) {
      flight.rest = undefined; // the rest may in turn leave a rest
      await rest;
    }
    this.leave(key, flight);
  }

  private leave(key: string, flight: Flight): void {
    const slot = this.slots.get(key);
    const place = slot?.flights.indexOf(flight) ?? -1;
    if (slot === undefined || place < 0) {
      return;
    }
    if (slot.flights.length === 1) {
      this.slots.delete(key);
      return;
    }
    slot.flights.splice(place, 1);
    this.stopSharing(key, flight);
  }

  private stopSharing(key: string, flight: Flight): void {
    const slot = this.slots.get(key);
    if (slot?.sharedBy === flight) {
      slot.shared = undefined;
      slot.sharedBy = undefined;
    }
  }
}

const NONE: readonly string[] = Object.freeze([]);

function newFlight(): Flight {
  return {
    overtaken: false,
    isReplaced: false,
    isWaiting: false,
    isUnleased: false,
    isLoading: false,
    tags: NONE,
    check: undefined,
    rest: undefined,
    result: undefined,
    joined: undefined,
    label: '',
    loadingSinceMs: undefined,
    isInQueue: false,
    waitsFor: undefined,
    stale: undefined,
    lifeMs: 0,
    givenUp: undefined,
    isLeft: false,
  };
}
