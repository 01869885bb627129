import type { Stamp } from '../codec/index.js';
import type { ResolvedNamespace } from '../config/index.js';
import { type CacheKey, encodeKey } from '../keys/index.js';
import { DeferredJson } from '../local/index.js';
import { allOf, inPieces, type WaitBudget } from '../redis/index.js';
import type { BegunEntry, EntryEncoder, EntryToWrite, PreparedEntry } from './encode.js';
import { entryLife, type EntryOptions, NotKept, tagNames } from './entry-options.js';
import type { Flights } from './flights.js';
import type { Invalidator } from './invalidate.js';
import type { FillGrant } from './lease-wait.js';
import { type LocalTier, type LocalValues, withSpare } from './local-tier.js';
import type { WrittenEntry, WrittenLoad, RemoteWrite, WriteOutcome } from './outcomes.js';
import { type RemoteTier, WRITE_PIECE } from './remote-tier.js';
import type { TagRegistry } from './tags.js';
import type { ValueChecks } from './value-check.js';

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
      await (entry && this.invalidator.afterSet(key, encodedKey, life, entry));
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

  /**
   * Stores loaded values, as {@link writeLoaded} does, in pieces. A value is encoded when its piece is cut, so the
   * memory for the encoded values is limited.
   */
  async writeManyLoaded<Load extends LoadToStore>(
    loads: readonly Load[],
    onWritten: (load: Load, written: WrittenLoad) => void,
  ): Promise<void> {
    const { encoder } = this;
    const begin = function* (): Generator<BegunLoad<Load>> {
      for (const load of loads) {
        yield { load, begun: encoder.begin(load.entry, false) };
      }
    };
    const bytesOf = ({ begun }: BegunLoad<Load>): number =>
      begun === undefined || begun instanceof Promise ? 0 : begun.textBytes;
    await inPieces(begin(), { ...WRITE_PIECE, bytesOf }, async (piece) => {
      const prepared: readonly (PreparedEntry | undefined)[] = await allOf(
        piece.map(({ begun }) =>
          begun instanceof Promise
            ? begun.then((each) => each && encoder.complete(each))
            : begun && encoder.complete(begun),
        ),
      );
      const outcomes = await this.fillMany(piece, prepared, piece.length < loads.length);
      for (const [index, { load }] of piece.entries()) {
        const each = prepared[index];
        onWritten(
          load,
          each === undefined
            ? this.refusedLoad(load.entry)
            : this.finishLoad(each, outcomes.get(load.entry.key) ?? (this.remote === undefined ? 'done' : 'unsent')),
        );
      }
    });
  }

  private async fillMany(
    piece: readonly { readonly load: LoadToStore }[],
    prepared: readonly (PreparedEntry | undefined)[],
    isPiece: boolean,
  ): Promise<ReadonlyMap<string, WriteOutcome | 'superseded'>> {
    const fills = piece.flatMap(({ load: { entry, grant } }, index) => {
      const each = prepared[index];
      const { isTainted, isDoubted } = entry.flight;
      return each === undefined || grant === undefined || (isTainted && !isDoubted)
        ? []
        : [{ key: entry.key, lease: grant.lease, write: writeOf(each, grant.stamps), isDoubted }];
    });
    return fills.length === 0 || this.remote === undefined ? new Map() : this.remote.fillMany(fills, isPiece);
  }

  private refusedLoad(entry: EntryToWrite): WrittenLoad {
    return { ...refused(entry), stored: this.values.unkept(entry.value, entry.values) };
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
   * Stores several values, in pieces; in a cluster each master has pieces of its own. All values are read before the first
   * wait, and compressed when their piece is sent: a batch of any size blocks the event loop only for short. Otherwise
   * like {@link write}.
   */
  async writeMany(entries: readonly EntryToWrite[]): Promise<WrittenEntry[]> {
    const begun: readonly (BegunEntry | undefined)[] = await allOf(
      entries.map((entry) => this.encoder.begin(entry, true)),
    );
    const written = new Map<EntryToWrite, WrittenEntry>();
    await this.putRemote(begun.filter(isThere), (prepared, outcome) =>
      written.set(prepared.entry, this.finish(prepared, outcome)),
    );
    return entries.map((entry) => written.get(entry) ?? refused(entry));
  }

  private fill(
    entry: EntryToWrite,
    prepared: PreparedEntry | undefined,
    grant: FillGrant | undefined,
  ): WrittenLoad | Promise<WrittenLoad> {
    const { remote } = this;
    if (prepared === undefined) {
      return this.refusedLoad(entry);
    }
    const { isTainted, isDoubted } = entry.flight;
    if (remote === undefined || grant === undefined || (isTainted && !isDoubted)) {
      return this.finishLoad(prepared, remote === undefined ? 'done' : 'unsent');
    }
    const { lease, stamps } = grant;
    const load = { key: entry.key, lease, write: writeOf(prepared, stamps), isDoubted };
    const filling = remote.storeLoaded(load);
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

  private async putRemote(
    entries: readonly BegunEntry[],
    onStored: (prepared: PreparedEntry, outcome: WriteOutcome) => void,
  ): Promise<void> {
    const { remote } = this;
    const prepare = async (piece: readonly BegunEntry[]): Promise<readonly PreparedEntry[]> => {
      const prepared: readonly (PreparedEntry | undefined)[] = await allOf(
        piece.map((begun) => this.encoder.complete(begun)),
      );
      return prepared.filter(isThere);
    };
    if (remote === undefined) {
      (await prepare(entries)).forEach((prepared) => onStored(prepared, 'done'));
      return;
    }
    const isBatch = entries.length > WRITE_PIECE.maxItems; // waits for its stamps as long as for its pieces
    const asking = remote.stamps(
      [...new Set(entries.flatMap(({ entry }) => entry.tags))],
      entries.reduce((longest, { entry }) => Math.max(longest, keptMsOf(entry)), 0),
      isBatch,
    );
    const stamps = await (isBatch ? asking : this.newBudget().wait(asking));
    await remote.storeInPieces(entries, async (piece, store) => {
      const prepared = await prepare(piece);
      // Checked at the last moment: no change can come between here and the socket.
      // remedy: superseded-batch-is-not-sent
      const current = stamps === undefined ? [] : prepared.filter(({ entry }) => !entry.flight.isSuperseded);
      const outcome =
        current.length === 0
          ? 'unsent'
          : await store(current.map((each) => [each.entry.key, writeOf(each, stamps ?? [])] as const));
      prepared.forEach((each) => onStored(each, outcome));
    });
  }

  private finish({ entry, forLocal, sealing }: PreparedEntry, outcome: WriteOutcome | 'superseded'): WrittenEntry {
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
    const { ttlMs, graceMs } = life;
    const kept = { ttlMs, graceMs, marks: entry.tagVersions, loadMs: entry.loadMs };
    if (outcome === 'done') {
      this.local.keep(key, forLocal, { createdAtMs: sealing.createdAtMs, ...kept });
    } else {
      this.local.keepUnsent(key, forLocal, kept);
    }
    return { kept: true, superseded: false, complete: outcome === 'done' };
  }
}

/** A loaded value that is to be stored: in Redis with a grant, without one only in this process. */
export interface LoadToStore {
  readonly entry: EntryToWrite;
  readonly grant: FillGrant | undefined;
}

interface BegunLoad<Load> {
  readonly load: Load;
  readonly begun: BegunEntry | undefined | Promise<BegunEntry | undefined>;
}

function writeOf({ entry, payload, sealing }: PreparedEntry, stamps: readonly Stamp[]): RemoteWrite {
  return { payload, life: entry.life, loadMs: entry.loadMs, stamps, sealing };
}

/** How long Redis keeps an entry: for its TTL and its grace. */
function keptMsOf({ life }: EntryToWrite): number {
  return life.ttlMs + life.graceMs;
}

function isThere<Entry>(entry: Entry | undefined): entry is Entry {
  return entry !== undefined;
}

function refused({ flight }: EntryToWrite): WrittenEntry {
  return { kept: false, superseded: flight.isSuperseded, complete: false };
}
