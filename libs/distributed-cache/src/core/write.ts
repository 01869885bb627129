import {
  asDecoded,
  type BegunEncoding,
  type Decoded,
  type EncodedPayload,
  type EntryCodec,
  type Stamp,
} from '../codec/index.js';
import { ValueRefusedError } from '../errors/index.js';
import { type LocalMark, type StoredValue, DeferredJson } from '../local/index.js';
import { allOf } from '../redis/index.js';
import type { EntryLife } from './entry-life.js';
import type { Flight } from './flight.js';
import type { Flights } from './flights.js';
import type { FillGrant } from './lease-wait.js';
import { type LocalValues, unmeasured } from './local-values.js';
import type { LocalTier } from './local-tier.js';
import type { RemoteWrite, WriteOutcome } from './remote-outcomes.js';
import type { RemoteTier } from './remote-tier.js';
import type { ValueCheck } from './value-check.js';
import type { WaitBudget } from './deadline.js';

export interface EntryToWrite {
  readonly key: string;
  readonly value: unknown;
  readonly life: EntryLife;
  readonly flight: Flight;
  /** How long its loader took, in milliseconds; 0 for a `set`. */
  readonly loadMs: number;
  readonly tags: readonly string[];
  /** Its tags as they were when the making of the value began. */
  readonly marks: readonly LocalMark[] | undefined;
  /** The check that the value must pass before it is stored; the check itself reports a mismatch. */
  readonly check: ValueCheck | undefined;
}

/** The outcome of a write. */
export interface WrittenEntry {
  /** Whether a tier keeps the value. */
  readonly kept: boolean;
  /** Whether a later write or deletion came first, so that this value no longer counts. */
  readonly overtaken: boolean;
  /** Whether Redis has the value; true when no Redis is configured. */
  readonly complete: boolean;
}

/** The outcome of a write of a loaded value. */
export interface WrittenLoad extends WrittenEntry {
  /** The value in the form that its readers get. */
  readonly stored: StoredValue;
}

export interface EntryWriterListener {
  onRefused(key: string, reason: string): void;
  /** Instances of these classes are kept as plain objects. */
  onFlattened(key: string, classNames: readonly string[]): void;
}

interface Prepared {
  readonly entry: EntryToWrite;
  readonly forLocal: StoredValue | DeferredJson;
  readonly payload: EncodedPayload;
}

/**
 * Writes the entries of one namespace: to Redis first, then to L1, unless a later write or deletion in this process has
 * overtaken the write. A value that no tier can keep is reported as `onRefused` and returned as it is.
 */
export class EntryWriter {
  constructor(
    private readonly codec: EntryCodec,
    private readonly local: LocalTier,
    private readonly remote: RemoteTier | undefined,
    private readonly values: LocalValues,
    private readonly listener: EntryWriterListener,
    private readonly flights: Flights,
    private readonly newBudget: () => WaitBudget,
  ) {}

  /**
   * Stores a loaded value. Redis accepts it only with the lease under which it was loaded; without a lease, only this
   * process keeps it.
   */
  async writeLoaded(entry: EntryToWrite, grant: FillGrant | undefined): Promise<WrittenLoad> {
    const preparing = this.prepare(entry, false);
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
    const preparing = this.prepare(entry, true);
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
    const prepared: readonly (Prepared | undefined)[] = await allOf(entries.map((entry) => this.prepare(entry, true)));
    const outcomeOf = await this.putRemote(prepared.filter(isThere));
    return entries.map((entry, index) => {
      const ready = prepared[index];
      return ready === undefined ? refused(entry) : this.finish(ready, outcomeOf(entry.key));
    });
  }

  private fill(prepared: Prepared, grant: FillGrant | undefined): WriteOutcome | Promise<WriteOutcome | 'overtaken'> {
    const { key, flight } = prepared.entry;
    if (this.remote === undefined || grant === undefined || flight.isTainted) {
      return this.remote === undefined ? 'done' : 'unsent';
    }
    return this.remote.fill(key, grant.lease, writeOf(prepared, grant.stamps));
  }

  /**
   * Checks and encodes a value. The result is a promise only for an asynchronous check and for a large value, which is
   * compressed off the event loop.
   * @param mayStayText whether the caller does not need the value itself, so that L1 may keep its text
   */
  private prepare(entry: EntryToWrite, mayStayText: boolean): Prepared | undefined | Promise<Prepared | undefined> {
    const { key, value, check } = entry;
    if (this.codec.isPlain && entry.tags.length > 0) {
      this.listener.onRefused(key, 'The value is not cached: text for other programs (format) carries no tags');
      return undefined;
    }
    const admitting = check?.admits(key, value) ?? true;
    if (admitting instanceof Promise) {
      return admitting.then((isAdmitted) => (isAdmitted ? this.encode(entry, mayStayText) : undefined));
    }
    return admitting ? this.encode(entry, mayStayText) : undefined;
  }

  /**
   * Encodes a value. The copy for L1 is made before any wait, so that later changes by the value's owner reach no tier.
   */
  private encode(entry: EntryToWrite, mayStayText: boolean): Prepared | undefined | Promise<Prepared | undefined> {
    try {
      const textFrom = mayStayText ? this.values.textFrom : Infinity;
      const begun = this.codec.beginEncoding(entry.value, textFrom);
      const { payload, flattened } = begun;
      if (flattened.length > 0) {
        this.listener.onFlattened(entry.key, flattened);
      }
      const forLocal = begun.exact ? this.forLocal(entry.value, begun, textFrom) : undefined;
      const preparing =
        payload instanceof Promise
          ? payload.then((written) => this.prepared(entry, written, forLocal))
          : this.prepared(entry, payload, forLocal);
      return preparing instanceof Promise ? preparing.catch((error) => this.refuse(entry, error)) : preparing;
    } catch (error) {
      return this.refuse(entry, error);
    }
  }

  private forLocal(
    value: unknown,
    { isTree, isAscii, text, textBytes }: BegunEncoding,
    textFrom: number,
  ): StoredValue | DeferredJson {
    return isTree && text.length >= textFrom
      ? this.values.unread(text, textBytes > text.length)
      : this.values.storable({ value, isTree, isAscii }, 'given');
  }

  private refuse({ key }: EntryToWrite, error: unknown): undefined {
    this.listener.onRefused(key, error instanceof ValueRefusedError ? error.message : 'the codec failed');
  }

  /**
   * Completes the preparation of a write. When L1 may not keep the given value, it keeps what Redis would return: every
   * tier gives the same value.
   */
  private prepared(
    entry: EntryToWrite,
    payload: EncodedPayload,
    forLocal: StoredValue | DeferredJson | undefined,
  ): Prepared | Promise<Prepared> {
    if (forLocal !== undefined) {
      return { entry, forLocal, payload };
    }
    const reading = this.codec.readBack(payload);
    const prepare = ({ value }: Decoded): Prepared => ({
      entry,
      forLocal: this.values.storable(asDecoded(value), 'decoded'),
      payload,
    });
    return reading instanceof Promise ? reading.then(prepare) : prepare(reading);
  }

  private putOne(prepared: Prepared): Promise<WriteOutcome> {
    const { remote } = this;
    if (remote === undefined) {
      return Promise.resolve('done');
    }
    const { key, tags } = prepared.entry;
    const held = remote.heldStamps(tags);
    return held === undefined ? this.putUnderNewStamps(prepared, remote) : remote.store(key, writeOf(prepared, held));
  }

  private async putUnderNewStamps(prepared: Prepared, remote: RemoteTier): Promise<WriteOutcome> {
    const { key, tags, flight } = prepared.entry;
    const budget = this.newBudget();
    const stamps = await budget.wait(remote.stamps(tags, lifeMsOf(prepared.entry)));
    // Checked at the last moment: no change can come between here and the socket.
    if (stamps === undefined || flight.isSuperseded) {
      return 'unsent';
    }
    const outcome = await budget.wait(remote.store(key, writeOf(prepared, stamps)));
    if (outcome === undefined) {
      remote.journal(key); // the write is on its way, and its answer is not waited for
    }
    return outcome ?? 'unknown';
  }

  private async putRemote(entries: readonly Prepared[]): Promise<(key: string) => WriteOutcome> {
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

  private finish({ entry, forLocal }: Prepared, outcome: WriteOutcome | 'overtaken'): WrittenEntry {
    const { key, life, flight } = entry;
    if (flight.isSuperseded || outcome === 'overtaken') {
      return { kept: false, overtaken: true, complete: false };
    }
    this.flights.taintAllBut(flight, key); // before L1 takes the value
    if (flight.isTainted) {
      // Another process has changed the key, before or after: only Redis knows which. A read of this process that began
      // beside the write may have left the previous value in L1, and Redis does not notify this process of its own
      // write.
      this.local.delete(key);
      const isDone = outcome === 'done';
      return { kept: isDone && this.remote !== undefined, overtaken: isDone, complete: isDone };
    }
    if (outcome === 'unknown') {
      // The write may take effect, now or later: a copy in L1 could differ from what other processes read.
      this.local.delete(key);
      return { kept: false, overtaken: false, complete: false };
    }
    if (outcome === 'refused') {
      // Redis still holds the previous value. A full Redis accepts deletions.
      void this.remote?.delete([key]);
    }
    const { ttlMs, graceMs } = outcome === 'done' ? life : this.local.untrackedLife(key, life);
    this.local.keep(key, forLocal, { ttlMs, graceMs, marks: entry.marks, loadMs: entry.loadMs });
    return { kept: true, overtaken: false, complete: outcome === 'done' };
  }
}

function writeOf({ entry, payload }: Prepared, stamps: readonly Stamp[]): RemoteWrite {
  return { payload, life: entry.life, loadMs: entry.loadMs, stamps };
}

function lifeMsOf({ life }: EntryToWrite): number {
  return life.ttlMs + life.graceMs;
}

function isThere(prepared: Prepared | undefined): prepared is Prepared {
  return prepared !== undefined;
}

function refused({ flight }: EntryToWrite): WrittenEntry {
  return { kept: false, overtaken: flight.isSuperseded, complete: false };
}
