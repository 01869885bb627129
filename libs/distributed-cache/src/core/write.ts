import type { Stamp } from '../codec/index.js';
import { type StoredValue, DeferredJson } from '../local/index.js';
import { allOf } from '../redis/index.js';
import type { WaitBudget } from './deadline.js';
import type { EntryEncoder, EntryToWrite, PreparedEntry } from './encode.js';
import type { Flights } from './flights.js';
import type { FillGrant } from './lease-wait.js';
import { unmeasured } from './local-values.js';
import type { LocalTier } from './local-tier.js';
import type { RemoteWrite, WriteOutcome } from './remote-outcomes.js';
import type { RemoteTier } from './remote-tier.js';

/** The outcome of a write. */
export interface WrittenEntry {
  /** Whether a tier keeps the value. */
  readonly kept: boolean;
  /** Whether a later write or deletion came first, so that this value no longer counts. */
  readonly superseded: boolean;
  /** Whether Redis has the value; true when no Redis is configured. */
  readonly complete: boolean;
}

/** The outcome of a write of a loaded value. */
export interface WrittenLoad extends WrittenEntry {
  /** The value in the form that its readers get. */
  readonly stored: StoredValue;
}

/**
 * Writes the entries of one namespace.
 *
 * Redis is written first, then L1. The outcome in Redis decides what L1 keeps:
 *
 * | outcome                                        | L1                              | Redis                          |
 * | ---------------------------------------------- | ------------------------------- | ------------------------------ |
 * | `done`                                         | keeps the value                 | has the value                  |
 * | `done`, and another process changed the key    | drops its copy                  | has the later of the two       |
 * | `unsent`: Redis can't be used, queue full      | keeps the value                 | has the previous value         |
 * | `refused`: an error reply                      | keeps the value, for short      | has nothing: it is deleted     |
 * | `unknown`: sent, and not answered              | drops its copy                  | may get the value later        |
 * | superseded by a later change of this process   | has what that change left       | has what that change left      |
 *
 * After a `set` that Redis does not have, the key is journalled: Redis deletes it before it is read again. A value that
 * can't be cached is returned as it is.
 */
export class EntryWriter {
  constructor(
    private readonly encoder: EntryEncoder,
    private readonly flights: Flights,
    private readonly local: LocalTier,
    private readonly remote: RemoteTier | undefined,
    private readonly newBudget: () => WaitBudget,
  ) {}

  /**
   * Stores a loaded value. Redis accepts it only with the lease under which it was loaded; without a lease, only this
   * process keeps it.
   */
  async writeLoaded(entry: EntryToWrite, grant: FillGrant | undefined): Promise<WrittenLoad> {
    const preparing = this.encoder.prepare(entry, false);
    const prepared = preparing instanceof Promise ? await preparing : preparing;
    if (prepared === undefined) {
      return { ...refused(entry), stored: unmeasured(entry.value) };
    }
    const { forLocal } = prepared;
    const written = this.finish(prepared, await this.fill(prepared, grant));
    return { ...written, stored: forLocal instanceof DeferredJson ? forLocal.read() : forLocal };
  }

  /** Stores a value that a caller passed to `set`. */
  async write(entry: EntryToWrite): Promise<WrittenEntry> {
    const preparing = this.encoder.prepare(entry, true);
    const prepared = preparing instanceof Promise ? await preparing : preparing;
    if (prepared === undefined) {
      return refused(entry);
    }
    return this.finish(prepared, entry.flight.isSuperseded ? 'unsent' : await this.putOne(prepared));
  }

  /**
   * Stores several values in one go; in a cluster the entries of each master succeed or fail together. Otherwise like
   * {@link write}.
   */
  async writeMany(entries: readonly EntryToWrite[]): Promise<WrittenEntry[]> {
    const prepared: readonly (PreparedEntry | undefined)[] = await allOf(
      entries.map((entry) => this.encoder.prepare(entry, true)),
    );
    const outcomeOf = await this.putRemote(prepared.filter(isThere));
    return entries.map((entry, index) => {
      const ready = prepared[index];
      return ready === undefined ? refused(entry) : this.finish(ready, outcomeOf(entry.key));
    });
  }

  private fill(
    prepared: PreparedEntry,
    grant: FillGrant | undefined,
  ): WriteOutcome | Promise<WriteOutcome | 'superseded'> {
    const { key, flight } = prepared.entry;
    if (this.remote === undefined || grant === undefined || flight.isTainted) {
      return this.remote === undefined ? 'done' : 'unsent';
    }
    return this.remote.fill(key, grant.lease, writeOf(prepared, grant.stamps));
  }

  private putOne(prepared: PreparedEntry): Promise<WriteOutcome> {
    const { remote } = this;
    if (remote === undefined) {
      return Promise.resolve('done');
    }
    const { key, tags } = prepared.entry;
    const held = remote.heldStamps(tags);
    return held === undefined ? this.putUnderNewStamps(prepared, remote) : remote.store(key, writeOf(prepared, held));
  }

  private async putUnderNewStamps(prepared: PreparedEntry, remote: RemoteTier): Promise<WriteOutcome> {
    const { key, tags, flight } = prepared.entry;
    const budget = this.newBudget();
    const stamps = await budget.wait(remote.stamps(tags, lifeMsOf(prepared.entry)));
    // Checked at the last moment: no change can come between here and the socket.
    // remedy: superseded-set-is-not-sent
    if (stamps === undefined || flight.isSuperseded) {
      return 'unsent';
    }
    const outcome = await budget.wait(remote.store(key, writeOf(prepared, stamps)));
    if (outcome === undefined) {
      remote.journal(key); // the write is on its way, and its answer is not waited for
    }
    return outcome ?? 'unknown';
  }

  private async putRemote(entries: readonly PreparedEntry[]): Promise<(key: string) => WriteOutcome> {
    const { remote } = this;
    if (remote === undefined) {
      return () => 'done';
    }
    const budget = this.newBudget();
    const stamps = await budget.wait(
      remote.stamps(
        [...new Set(entries.flatMap(({ entry }) => entry.tags))],
        entries.reduce((longest, { entry }) => Math.max(longest, lifeMsOf(entry)), 0),
      ),
    );
    // Checked at the last moment: no change can come between here and the socket.
    const current = entries.filter(({ entry }) => !entry.flight.isSuperseded);
    if (stamps === undefined || current.length === 0) {
      return () => 'unsent';
    }
    // Each piece of the batch has a deadline of its own.
    const outcomes = await remote.storeMany(
      current.map((prepared) => [prepared.entry.key, writeOf(prepared, stamps)] as const),
    );
    return (key) => outcomes.get(key) ?? 'unsent';
  }

  private finish({ entry, forLocal }: PreparedEntry, outcome: WriteOutcome | 'superseded'): WrittenEntry {
    const { key, life, flight } = entry;
    if (flight.isSuperseded || outcome === 'superseded') {
      return { kept: false, superseded: true, complete: false };
    }
    // remedy: write-taints-overlapping-work
    this.flights.taintAllBut(flight, key); // before L1 takes the value
    // remedy: tainted-set-leaves-l1
    if (flight.isTainted) {
      // Another process has changed the key, before or after: only Redis knows which. A read of this process that began
      // beside the write may have left the previous value in L1, and Redis does not notify this process of its own
      // write.
      // remedy: tainted-set-drops-copy
      this.local.delete(key);
      const isDone = outcome === 'done';
      return { kept: isDone && this.remote !== undefined, superseded: isDone, complete: isDone };
    }
    if (outcome === 'unknown') {
      // The write may take effect, now or later: a copy in L1 could differ from what other processes read.
      this.local.delete(key);
      return { kept: false, superseded: false, complete: false };
    }
    if (outcome === 'refused') {
      // Redis still holds the previous value. A full Redis accepts deletions.
      void this.remote?.delete([key]);
    }
    const { ttlMs, graceMs } = outcome === 'done' ? life : this.local.untrackedLife(key, life);
    this.local.keep(key, forLocal, { ttlMs, graceMs, marks: entry.marks, loadMs: entry.loadMs });
    return { kept: true, superseded: false, complete: outcome === 'done' };
  }
}

function writeOf({ entry, payload }: PreparedEntry, stamps: readonly Stamp[]): RemoteWrite {
  return { payload, life: entry.life, loadMs: entry.loadMs, stamps };
}

function lifeMsOf({ life }: EntryToWrite): number {
  return life.ttlMs + life.graceMs;
}

function isThere(prepared: PreparedEntry | undefined): prepared is PreparedEntry {
  return prepared !== undefined;
}

function refused({ flight }: EntryToWrite): WrittenEntry {
  return { kept: false, superseded: flight.isSuperseded, complete: false };
}
