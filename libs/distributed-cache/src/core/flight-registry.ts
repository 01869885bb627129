/** One piece of work on one key in this process: a load, a read of Redis, or a write. */
export interface Flight {
  /**
   * Set when a later write or deletion of the key in this process has overtaken this work: its result still goes to those
   * who wait for it, and into no tier.
   */
  overtaken: boolean;
  /** What is still under way when the result is there already: until it has ended, the work can be overtaken. */
  rest?: Promise<unknown> | undefined;
}

/** The flights of one key that nothing has overtaken. */
interface Slot<Result> {
  readonly flights: Set<Flight>;
  /** What others may wait for; a slot that holds only writes and batch reads has nothing to join. */
  shared: Promise<Result> | undefined;
}

/**
 * The work under way, by key. Calls for a key join the flight that is there (single flight), so a hundred callers cost one
 * load. A write or deletion detaches the flights: those who wait get their result, those who ask afterwards start anew.
 */
export class FlightRegistry<Result> {
  private readonly slots = new Map<string, Slot<Result>>();

  /** Keys with work under way. */
  get size(): number {
    return this.slots.size;
  }

  /** The running flight of this key, if there is one to wait for. */
  running(key: string): Promise<Result> | undefined {
    return this.slots.get(key)?.shared;
  }

  /** Starts work that others may join until it ends or is overtaken. */
  share(key: string, work: (flight: Flight) => Promise<Result>): Promise<Result> {
    const flight: Flight = { overtaken: false };
    const slot = this.enter(key, flight);
    const shared = work(flight);
    slot.shared = shared;
    void this.leaveAfter(shared, key, slot, flight);
    return shared;
  }

  /** Starts a write: it overtakes whatever is under way for these keys, and can itself be overtaken. */
  async overtake<Own>(keys: readonly string[], work: (flights: readonly Flight[]) => Promise<Own>): Promise<Own> {
    keys.forEach((key) => this.detach(key));
    return this.watch(keys, work);
  }

  /** Starts work that nobody can join but that learns when it is overtaken. */
  async watch<Own>(keys: readonly string[], work: (flights: readonly Flight[]) => Promise<Own>): Promise<Own> {
    const watched = keys.map((key) => {
      const flight: Flight = { overtaken: false };
      return { key, flight, slot: this.enter(key, flight) };
    });
    try {
      return await work(watched.map(({ flight }) => flight));
    } finally {
      for (const { key, slot, flight } of watched) {
        this.leave(key, slot, flight);
      }
    }
  }

  /** The key has changed: what is under way for it is not to be kept. */
  detach(key: string): void {
    const slot = this.slots.get(key);
    if (slot !== undefined) {
      this.slots.delete(key);
      markOvertaken(slot);
    }
  }

  /** Everything may have changed. */
  detachAll(): void {
    const slots = [...this.slots.values()];
    this.slots.clear();
    slots.forEach(markOvertaken);
  }

  private enter(key: string, flight: Flight): Slot<Result> {
    let slot = this.slots.get(key);
    if (slot === undefined) {
      slot = { flights: new Set(), shared: undefined };
      this.slots.set(key, slot);
    }
    slot.flights.add(flight);
    return slot;
  }

  /** Leaves before anybody who waited for the result goes on, so that whoever asks after a failure starts anew. */
  private async leaveAfter(shared: Promise<Result>, key: string, slot: Slot<Result>, flight: Flight): Promise<void> {
    try {
      await shared;
    } catch {
      // the callers' business
    }
    for (let { rest } = flight; rest !== undefined; { rest } = flight) {
      flight.rest = undefined; // what is left may in its turn leave something
      await rest;
    }
    if (slot.shared === shared) {
      slot.shared = undefined;
    }
    this.leave(key, slot, flight);
  }

  private leave(key: string, slot: Slot<Result>, flight: Flight): void {
    slot.flights.delete(flight);
    if (slot.flights.size === 0 && this.slots.get(key) === slot) {
      this.slots.delete(key);
    }
  }
}

function markOvertaken({ flights }: Slot<unknown>): void {
  for (const flight of flights) {
    flight.overtaken = true;
  }
}
