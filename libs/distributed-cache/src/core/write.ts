import {
  asDecoded,
  type BegunEncoding,
  type Decoded,
  type EncodedPayload,
  type EntryCodec,
  type Stamp,
} from '../codec/index.js';
import type { ResolvedNamespace, ValuesMode } from '../config/index.js';
import { ValueRefusedError } from '../errors/index.js';
import { type CacheKey, encodeKey } from '../keys/index.js';
import { DeferredJson, type TagVersion, type StoredValue } from '../local/index.js';
import { allOf, type WaitBudget } from '../redis/index.js';
import { entryLife, type EntryLife, type EntryOptions, NotKept, tagNames } from './entry-options.js';
import type { Flight } from './flight.js';
import type { Flights } from './flights.js';
import type { Invalidator } from './invalidate.js';
import type { FillGrant } from './lease-wait.js';
import { type LocalTier, type LocalValues, withSpare } from './local-tier.js';
import type { WrittenEntry, WrittenLoad, RemoteWrite, WriteOutcome } from './outcomes.js';
import type { RemoteTier } from './remote-tier.js';
import type { TagRegistry } from './tags.js';
import type { ValueCheck, ValueChecks } from './value-check.js';

/** Stores the values that callers pass to `set` and `setMany`. */
export class EntrySetter {
  constructor(
    private readonly policy: ResolvedNamespace,
    /** Whether the cache is switched on; otherwise the arguments are checked, and nothing is stored. */
    private readonly isEnabled: boolean,
    private readonly flights: Flights,
    private readonly writer: EntryWriter,
    private readonly tags: TagRegistry,
    private readonly checks: ValueChecks,
    private readonly invalidator: Invalidator,
  ) {}

  /** Stores one value. @returns true once Redis has it (or no Redis is configured) */
  async set<T>(key: CacheKey, value: T, options: EntryOptions<T>): Promise<boolean> {
    const { flights, writer } = this;
    const encodedKey = encodeKey(key);
    const life = entryLife(value, this.policy, options);
    const tags = tagNames(options.tags);
    if (!this.isEnabled) {
      return false;
    }
    if (life instanceof NotKept) {
      await this.invalidator.afterNotKept(key, encodedKey, life);
      return false;
    }
    const common = this.commonOf(options, tags);
    const flight = flights.beginWrite(encodedKey);
    let written: WrittenEntry;
    try {
      const { loadMs, tagVersions, check, values, flatten } = common; // without a spread: see LoadFiller.store
      const entry = { key: encodedKey, value, life, flight, loadMs, tags, tagVersions, check, values, flatten };
      written = await writer.write(entry);
    } finally {
      flights.end(encodedKey, flight);
    }
    const completing = this.invalidator.afterSet(key, encodedKey, life, written);
    if (completing !== undefined) {
      await completing;
    }
    return written.complete;
  }

  /**
   * Stores several values, in one round trip; otherwise like {@link set}.
   * @returns true once Redis has all of them (or no Redis is configured)
   */
  async setMany<T>(entries: ReadonlyMap<CacheKey, T>, options: EntryOptions<T>): Promise<boolean> {
    const tags = tagNames(options.tags);
    const given = [...entries].map(([key, value]) => ({
      key,
      encodedKey: encodeKey(key),
      value,
      life: entryLife(value, this.policy, options),
    }));
    if (!this.isEnabled) {
      return false;
    }
    const values = given.flatMap(({ life, ...rest }) => (life instanceof NotKept ? [] : [{ ...rest, life }]));
    for (const { key, encodedKey, life } of values.length === given.length ? [] : given) {
      await (life instanceof NotKept && this.invalidator.afterNotKept(key, encodedKey, life));
    }
    const encodedKeys = values.map(({ encodedKey }) => encodedKey);
    const common = this.commonOf(options, tags);
    const written = await this.flights.write(encodedKeys, (flights) =>
      this.writer.writeMany(
        values.flatMap(({ encodedKey, value, life }, index) => {
          const flight = flights[index];
          return flight === undefined ? [] : [{ key: encodedKey, value, life, flight, ...common }];
        }),
      ),
    );
    for (const [index, { key, encodedKey, life }] of values.entries()) {
      const entry = written[index];
      if (entry !== undefined) {
        await this.invalidator.afterSet(key, encodedKey, life, entry);
      }
    }
    return values.length === given.length && written.every(({ complete }) => complete);
  }

  /** The facts that the values of one call have in common. */
  private commonOf<T>(options: EntryOptions<T>, tags: readonly string[]) {
    const { values, flatten } = options;
    return {
      loadMs: 0,
      tags,
      tagVersions: this.tags.tagVersions(tags),
      check: this.checks.of(options),
      values,
      flatten,
    };
  }
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
 * The key of a `set` that Redis does not have goes to the outage journal, the list of deletions that Redis has not
 * acknowledged: until Redis has deleted the key, what Redis holds under it is a miss. A value that can't be cached is
 * returned as it is.
 */
export class EntryWriter {
  constructor(
    readonly values: LocalValues,
    private readonly encoder: EntryEncoder,
    private readonly flights: Flights,
    private readonly local: LocalTier,
    private readonly remote: RemoteTier | undefined,
    private readonly newBudget: () => WaitBudget,
  ) {}

  /**
   * Stores a loaded value. Redis accepts it only while the load still holds the lease of the key, the right to load it for
   * all processes; without a grant, only this process keeps it.
   */
  writeLoaded(entry: EntryToWrite, grant: FillGrant | undefined): WrittenLoad | Promise<WrittenLoad> {
    const preparing = this.encoder.prepare(entry, false);
    return preparing instanceof Promise
      ? preparing.then((prepared) => this.fill(entry, prepared, grant))
      : this.fill(entry, preparing, grant);
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
    entry: EntryToWrite,
    prepared: PreparedEntry | undefined,
    grant: FillGrant | undefined,
  ): WrittenLoad | Promise<WrittenLoad> {
    const { remote } = this;
    if (prepared === undefined) {
      return { ...refused(entry), stored: this.values.unkept(entry.value, entry.values) };
    }
    if (remote === undefined || grant === undefined || entry.flight.isTainted) {
      return this.finishLoad(prepared, remote === undefined ? 'done' : 'unsent');
    }
    const filling = remote.fill(entry.key, grant.lease, writeOf(prepared, grant.stamps));
    return filling.then((outcome) => this.finishLoad(prepared, outcome));
  }

  private finishLoad(prepared: PreparedEntry, outcome: WriteOutcome | 'superseded'): WrittenLoad {
    const { kept, superseded, complete } = this.finish(prepared, outcome);
    const { forLocal, isExact, entry } = prepared;
    const stored = forLocal instanceof DeferredJson ? forLocal.read() : forLocal;
    return { kept, superseded, complete, stored: isExact ? withSpare(stored, entry.value) : stored };
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
    const stamps = await budget.wait(remote.stamps(tags, keptMsOf(prepared.entry)));
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
        entries.reduce((longest, { entry }) => Math.max(longest, keptMsOf(entry)), 0),
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
    this.local.keep(key, forLocal, { ttlMs, graceMs, marks: entry.tagVersions, loadMs: entry.loadMs });
    return { kept: true, superseded: false, complete: outcome === 'done' };
  }
}

function writeOf({ entry, payload }: PreparedEntry, stamps: readonly Stamp[]): RemoteWrite {
  return { payload, life: entry.life, loadMs: entry.loadMs, stamps };
}

/** How long Redis keeps an entry: for its TTL and its grace. */
function keptMsOf({ life }: EntryToWrite): number {
  return life.ttlMs + life.graceMs;
}

function isThere(prepared: PreparedEntry | undefined): prepared is PreparedEntry {
  return prepared !== undefined;
}

function refused({ flight }: EntryToWrite): WrittenEntry {
  return { kept: false, superseded: flight.isSuperseded, complete: false };
}

interface EntryToWrite {
  readonly key: string;
  readonly value: unknown;
  readonly life: EntryLife;
  readonly flight: Flight;
  /** How long its loader took, in milliseconds; 0 for a `set`. */
  readonly loadMs: number;
  readonly tags: readonly string[];
  /** The generations of its tags when its loader began, or `set` was called: an invalidation since then makes it a miss. */
  readonly tagVersions: readonly TagVersion[] | undefined;
  /** The check that the value must pass before it is stored; the check itself reports a mismatch. */
  readonly check: ValueCheck | undefined;
  readonly values: ValuesMode | undefined;
  /** Whether instances of unregistered classes become plain objects; absent: as the namespace says. */
  readonly flatten: boolean | undefined;
}

interface EncoderListener {
  /** The value can't be cached. @param className the class whose instances can't be restored, if that is the reason */
  onRefused(key: string, reason: string, className?: string): void;
}

/** An entry that is ready to be stored, in the form of each tier. */
interface PreparedEntry {
  readonly entry: EntryToWrite;
  readonly forLocal: StoredValue | DeferredJson;
  readonly payload: EncodedPayload;
  /** Whether `forLocal` equals the given value. */
  readonly isExact: boolean;
}

/** Brings the values of one namespace into the form of each tier. A value that can't be cached is reported. */
export class EntryEncoder {
  constructor(
    private readonly codec: EntryCodec,
    private readonly values: LocalValues,
    private readonly listener: EncoderListener,
  ) {}

  /**
   * Checks and encodes a value. The result is a promise only for an asynchronous check and for a large value, which is
   * compressed off the event loop.
   * @returns `undefined` if the value can't be cached
   * @param mayKeepText whether L1 may keep the JSON text, because the caller does not need the value itself
   */
  prepare(entry: EntryToWrite, mayKeepText: boolean): PreparedEntry | undefined | Promise<PreparedEntry | undefined> {
    const { key, value, check } = entry;
    if (this.codec.isPlain && entry.tags.length > 0) {
      this.listener.onRefused(key, 'The value is not cached: text for other programs (format) carries no tags');
      return undefined;
    }
    const admitting = check?.admits(key, value) ?? true;
    if (admitting instanceof Promise) {
      // Before the wait: a later change of the value by its owner reaches no tier.
      const encoding = this.encode(entry, mayKeepText);
      return admitting.then((isAdmitted) => (isAdmitted ? encoding : undefined));
    }
    return admitting ? this.encode(entry, mayKeepText) : undefined;
  }

  /**
   * Encodes a value. The copy for L1 is made before any wait, so that later changes by the value's owner reach no tier.
   */
  private encode(
    entry: EntryToWrite,
    mayKeepText: boolean,
  ): PreparedEntry | undefined | Promise<PreparedEntry | undefined> {
    try {
      const textFrom = mayKeepText ? this.values.textFrom(entry.values) : Infinity;
      const begun = this.codec.beginEncoding(entry.value, textFrom, entry.flatten);
      const { payload } = begun;
      const forLocal = begun.exact ? this.localForm(entry, begun, textFrom) : undefined;
      const preparing =
        payload instanceof Promise
          ? payload.then((written) => this.complete(entry, written, forLocal))
          : this.complete(entry, payload, forLocal);
      return preparing instanceof Promise ? preparing.catch((error) => this.refuse(entry, error)) : preparing;
    } catch (error) {
      return this.refuse(entry, error);
    }
  }

  private localForm(
    { value, values }: EntryToWrite,
    { isTree, isAscii, text, textBytes }: BegunEncoding,
    textFrom: number,
  ): StoredValue | DeferredJson {
    return isTree && text.length >= textFrom
      ? this.values.unread(text, textBytes > text.length, values)
      : this.values.storable({ value, isTree, isAscii }, 'given', values);
  }

  private refuse({ key }: EntryToWrite, error: unknown): undefined {
    const isKnown = error instanceof ValueRefusedError;
    this.listener.onRefused(key, isKnown ? error.message : 'the codec failed', isKnown ? error.className : undefined);
  }

  /**
   * Completes the preparation of a write. When L1 may not keep the given value, it keeps what Redis would return: every
   * tier gives the same value.
   */
  private complete(
    entry: EntryToWrite,
    payload: EncodedPayload,
    forLocal: StoredValue | DeferredJson | undefined,
  ): PreparedEntry | Promise<PreparedEntry> {
    if (forLocal !== undefined) {
      return { entry, forLocal, payload, isExact: true };
    }
    const reading = this.codec.readBack(payload);
    const prepared = ({ value }: Decoded): PreparedEntry => ({
      entry,
      forLocal: this.values.storable(asDecoded(value), 'decoded', entry.values),
      payload,
      isExact: false,
    });
    return reading instanceof Promise ? reading.then(prepared) : prepared(reading);
  }
}
