import type { LoaderTimeoutError } from '../errors/index.js';
import { GroupFlight } from './group-flight.js';
import type { FoundEntry } from './load-outcome.js';
import type { WaitedLoad } from './load-scope.js';
import type { ValueCheck } from './value-check.js';

/** One piece of work on one key in this process: a load, a read of Redis, or a write. */
export interface Flight extends WaitedLoad {
  /** Set when the key has changed meanwhile: the result still goes to those who wait for it, and L1 does not keep it. */
  overtaken: boolean;
  /** Set when it was this process that changed it, later: a write that has not left yet is not to be sent any more. */
  isReplaced: boolean;
  /** Set while it does nothing but wait for another process to fill the key: it has read nothing that could be old. */
  isWaiting: boolean;
  /** Set for a load that no lease covers: Redis could not be asked. */
  isUnleased: boolean;
  /** Set while the loader runs, which may add tags: until it ends, `tags` is not the last word. */
  isLoading: boolean;
  /** The tags that the result will carry, as far as they are known. */
  tags: readonly string[];
  /** What a value from Redis is to pass before it counts, where that is not the namespace's check. */
  check: ValueCheck | undefined;
  /** What is still under way when the result is there already: until it has ended, the work can be overtaken. */
  rest: Promise<unknown> | undefined;
  /** What others may wait for. */
  result: Promise<unknown> | undefined;
  /** What joined calls wait for: the result, unless the flight lasts too long. */
  joined: Promise<unknown> | undefined;
  label: string;
  loadingSinceMs: number | undefined;
  /** The value that stands in for the result after a timeout. */
  stale: FoundEntry | undefined;
  /** How long others wait for it at most, in milliseconds. */
  lifeMs: number;
  /** Why it was given up at the `hardTimeout` of the call that began it, which concerns that call alone. */
  givenUp: LoaderTimeoutError | undefined;
  /** Set when the call that began it has not waited for it any longer. */
  isLeft: boolean;
}

/** The flights of one key that nothing has overtaken; as a rule there is one. */
interface Slot<Result> {
  readonly flights: Flight[];
  /** What others may wait for; a slot that holds only writes has nothing to join. */
  shared: Promise<Result> | undefined;
  sharedBy: Flight | undefined;
}

/**
 * The work under way, by key. Calls for a key join the flight that is there (single flight), so a hundred callers cost one
 * load. A write or deletion detaches the flights: those who wait get their result, those who ask afterwards start anew.
 */
export class FlightRegistry<Result> {
  private readonly slots = new Map<string, Slot<Result>>();
  private readonly groups = new Set<GroupFlight>();

  /** Keys with work under way. */
  get size(): number {
    return this.slots.size;
  }

  /** The running flight of this key, if there is one to wait for. */
  running(key: string): Promise<Result> | undefined {
    return this.slots.get(key)?.shared;
  }

  /** As {@link running}, the flight itself. */
  runningFlight(key: string): Flight | undefined {
    return this.slots.get(key)?.sharedBy;
  }

  /**
   * Starts work that others may join until it ends or is overtaken. `work` itself calls {@link end}, whatever comes of it, before its
   * result is there: whoever asks after a failure starts anew.
   */
  share(key: string, work: (flight: Flight) => Promise<Result>): Promise<Result> {
    return this.begin(key, work).result as Promise<Result>;
  }

  /** As {@link share}. @returns the flight, with its result */
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

  /** Work that was shared is done, but for its rest. */
  end(key: string, flight: Flight): void {
    if (flight.rest === undefined) {
      this.leave(key, flight);
    } else {
      void this.endAfterRest(key, flight);
    }
  }

  /** Watches over several keys at once, for a read that nobody can join; {@link endGroup} ends it. */
  beginGroup(keys: readonly string[]): GroupFlight {
    const group = new GroupFlight(keys);
    this.groups.add(group);
    return group;
  }

  endGroup(group: GroupFlight): void {
    this.groups.delete(group);
  }

  /** Starts a write of one key, which {@link end} ends: it overtakes whatever is under way, and can itself be overtaken. */
  beginWrite(key: string): Flight {
    const flight = newFlight();
    this.detach(key);
    this.enter(key, flight);
    return flight;
  }

  /** Starts a write: it overtakes whatever is under way for these keys, and can itself be overtaken. */
  async overtake<Own>(keys: readonly string[], work: (flights: readonly Flight[]) => Promise<Own>): Promise<Own> {
    keys.forEach((key) => this.detach(key));
    return this.watch(keys, work);
  }

  /** Starts work that nobody can join but that learns when it is overtaken. */
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

  /** This process changes the key: what is under way for it is neither sent nor kept. */
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

  /** As {@link detach}, for all keys. */
  detachAll(): void {
    [...this.slots.keys()].forEach((key) => this.detach(key));
    for (const group of this.groups) {
      group.overtakeAll();
    }
  }

  /**
   * The key has changed, or may have: what is under way for it is not kept, and nobody joins it any more. A write goes on, for
   * it is the later change; so does who has only been waiting for this one.
   * @param isMeant default: all others
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

  /** Its work begins only now: what has changed before has not overtaken it, and those who ask from now on may join. */
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
   * A tag was invalidated: what carries it is doubted, as in {@link doubt}. A loader that runs may yet add the tag, so no later caller
   * joins that flight; its result is kept unless the tag turns out to be one of its own.
   * @param isCertain `false`: the tag may have been invalidated; then flights that carry it stay and are only not joined any more
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

  /** As {@link doubt}, for all keys. */
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
      flight.rest = undefined; // what is left may in its turn leave something
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
    waitsFor: undefined,
    stale: undefined,
    lifeMs: 0,
    givenUp: undefined,
    isLeft: false,
  };
}
