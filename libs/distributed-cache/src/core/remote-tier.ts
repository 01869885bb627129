import type { EntryCodec, Stamp } from '../codec/index.js';
import type { ResolvedNamespace } from '../config/index.js';
import type { KeyLayout } from '../keys/index.js';
import { byPieces, type EntryToStore, type InspectedEntry, type PieceLimits, type RedisTier } from '../redis/index.js';
import { HomeChecks, type LoadedWrite } from './home-checks.js';
import { type FaultListener, RemoteFaults, type RemoteWrite, type WriteOutcome } from './outcomes.js';
import { EntryValidity, RemoteReads, tagsOf } from './remote-reads.js';
import type { RedisRuntime } from './runtime.js';
import { HeldStamp } from './stamps.js';
import { type TagRegistry, touchStamps } from './tags.js';

const PIECE_BYTES = 512 * 1024;

/** A piece of a batch of writes. */
export const WRITE_PIECE: PieceLimits<{ readonly textBytes: number }> = {
  maxItems: 250,
  maxBytes: PIECE_BYTES,
  bytesOf: ({ textBytes }) => textBytes,
};

const DELETE_PIECE: PieceLimits<string> = {
  maxItems: 500,
  maxBytes: PIECE_BYTES,
  bytesOf: ({ length }) => length,
};

/**
 * One namespace's part of Redis. No method throws, except `inspect`: a fault is reported to `onError`, once, and the
 * result says so.
 *
 * `clear()` puts a new unique stamp under one key; an entry carries the stamp that was current when its load began, and
 * one with another stamp is a miss. Invalidations that Redis has not acknowledged go to the outage journal; until they
 * have been replayed, what Redis holds under such a key is a miss.
 */
export class RemoteTier {
  private readonly stamp: HeldStamp;
  private readonly faults: RemoteFaults;
  private readonly tier: RedisTier;
  readonly validity: EntryValidity;
  readonly reads: RemoteReads;
  /** Absent when the primary is the home of every process. */
  readonly home: HomeChecks | undefined;

  constructor(
    private readonly redis: RedisRuntime,
    private readonly codec: EntryCodec,
    policy: ResolvedNamespace,
    private readonly layout: KeyLayout,
    private readonly tags: TagRegistry,
    private readonly listener: FaultListener,
    ownStamps: readonly Stamp[] = [],
  ) {
    this.faults = new RemoteFaults(redis.connection, listener);
    this.tier = redis.tier.withCodec(codec, policy.ttlMs);
    this.validity = new EntryValidity(redis, layout, tags, ownStamps);
    this.stamp = new HeldStamp(redis.stamps, layout.clearStampKey);
    this.home = redis.home && new HomeChecks(redis.home, this.tier, layout);
    this.reads = new RemoteReads(redis, this.tier, layout, this.stamp, this.validity, this.faults);
  }

  /**
   * The stamps that an entry must carry when it is written now; `undefined` while Redis can't be asked.
   * @param keptMs how long Redis is to keep the entry, in milliseconds
   * @param isPiece as in `HeldStamp.current`
   */
  async stamps(tags: readonly string[], keptMs: number, isPiece = false): Promise<readonly Stamp[] | undefined> {
    try {
      const [stamp, tagStamps] = await Promise.all([
        this.stamp.current(0, isPiece),
        this.tags.stamps(tags, keptMs, isPiece),
      ]);
      return [...this.validity.stampsUnder(stamp), ...tagStamps];
    } catch (error) {
      this.faults.report('set', error);
      return undefined;
    }
  }

  /** The stamps of {@link stamps}, when this process holds them and need not ask for any; `undefined` otherwise. */
  heldStamps(tags: readonly string[]): readonly Stamp[] | undefined {
    const { held } = this.stamp;
    return held === undefined || tags.length > 0 ? undefined : this.validity.stampsUnder(held);
  }

  async store(key: string, write: RemoteWrite): Promise<WriteOutcome> {
    const { position } = this.redis.journal;
    let outcome: WriteOutcome = 'done';
    try {
      await this.tier.set(this.layout.entryKeys(key), this.entryOf(write));
    } catch (error) {
      outcome = this.faults.outcomeOfFailure('set', error);
    }
    this.afterStoring(key, outcome, position);
    return outcome;
  }

  /**
   * Stores several values in pieces, each with a deadline of its own.
   * @param storePiece prepares the values of one piece when its turn has come, and passes them to `store`, whose outcome
   * they share
   */
  async storeInPieces<Item extends { readonly key: string; readonly textBytes: number }>(
    items: readonly Item[],
    storePiece: (
      piece: readonly Item[],
      store: (writes: readonly (readonly [key: string, write: RemoteWrite])[]) => Promise<WriteOutcome>,
    ) => Promise<void>,
  ): Promise<void> {
    const groups = this.redis.tier.groups(items, ({ key }) => this.layout.valueKey(key));
    await byPieces<Item>(groups, WRITE_PIECE, (piece, isPiece) =>
      storePiece(piece, async (writes) => {
        const { position } = this.redis.journal;
        const entries = writes.map(([key, write]) => [this.layout.entryKeys(key), this.entryOf(write)] as const);
        const outcome = await this.faults.outcomeOf('set', this.tier.setMany(entries, isPiece));
        writes.forEach(([key]) => this.afterStoring(key, outcome, position));
        return outcome;
      }),
    );
  }

  /** Stores a loaded value under a lease. @returns `superseded` when a `set`, a deletion or another load came first */
  storeLoaded(load: LoadedWrite): Promise<WriteOutcome | 'superseded'> {
    const { key, lease, write } = load;
    const checking = this.home?.supersededOf([load]); // in one write, in this order
    const filling = this.tier.fill(lease.keys, lease.token, this.entryOf(write)).then(
      (isStored) => (isStored ? 'done' : 'superseded'),
      (error) => this.outcomeOfFailedFill(error, [key]),
    );
    return checking === undefined
      ? filling
      : Promise.all([filling, checking]).then(([outcome, { size }]) =>
          size === 0 ? outcome : this.undo(key, outcome),
        );
  }

  /** As {@link storeLoaded}, for several values, in one write for each server; the outcomes by key. */
  async fillMany(
    fills: readonly LoadedWrite[],
    isPiece: boolean,
  ): Promise<ReadonlyMap<string, WriteOutcome | 'superseded'>> {
    const outcomes = new Map<string, WriteOutcome | 'superseded'>();
    const fillGroup = async (group: readonly LoadedWrite[]): Promise<void> => {
      const checking = this.home?.supersededOf(group);
      try {
        const areStored = await this.tier.fillMany(
          group.map(({ lease, write }) => ({ keys: lease.keys, token: lease.token, entry: this.entryOf(write) })),
          isPiece,
        );
        group.forEach(({ key }, index) => outcomes.set(key, areStored[index] === true ? 'done' : 'superseded'));
      } catch (error) {
        const outcome = this.outcomeOfFailedFill(
          error,
          group.map(({ key }) => key),
        );
        group.forEach(({ key }) => outcomes.set(key, outcome));
      }
      for (const key of (await checking) ?? []) {
        outcomes.set(key, await this.undo(key, outcomes.get(key) ?? 'superseded'));
      }
    };
    await Promise.all(this.tier.groups(fills, ({ lease }) => lease.keys.valueKey).map(fillGroup));
    return outcomes;
  }

  /**
   * Deletes keys.
   * @returns those of the keys that existed, as far as Redis could be asked; the others are deleted when it can be
   */
  async delete(keys: readonly string[], holdOffMs?: number): Promise<ReadonlySet<string>> {
    if (keys.length === 1) {
      // hot path: see docs/internals.md
      return new Set(await this.deletePiece(keys, holdOffMs, false));
    }
    const existed = new Set<string>();
    await byPieces(
      this.redis.tier.groups(keys, (key) => this.layout.valueKey(key)),
      DELETE_PIECE,
      async (piece, isPiece) => {
        for (const key of await this.deletePiece(piece, holdOffMs, isPiece)) {
          existed.add(key);
        }
      },
    );
    return existed;
  }

  /**
   * Ends the fresh life of an entry and keeps it as stale.
   * @returns whether there was one; `undefined` if it could not be done: the entry is then deleted as soon as Redis can
   * be asked
   */
  async expire(key: string, leastGraceMs: number): Promise<boolean | undefined> {
    try {
      return await this.tier.expire(this.layout.entryKeys(key), leastGraceMs);
    } catch (error) {
      this.journal(key);
      this.faults.report('delete', error);
      return undefined;
    }
  }

  /** Makes every entry of the namespace a miss; if Redis can't be asked now, as soon as it can be. */
  async clear(): Promise<void> {
    try {
      await this.stamp.replace();
    } catch (error) {
      // remedy: clear-is-journalled
      this.redis.journal.addClear(this.layout.clearStampKey, this.stamp.attempted);
      this.faults.report('clear', error);
    }
  }

  /**
   * Journals the deletion of this key, to be sent as soon as Redis can be asked: Redis may hold another value than this
   * process.
   */
  journal(key: string): void {
    // remedy: unknown-write-is-journalled
    this.redis.journal.addKey(this.layout.clearStampKey, this.layout.valueKey(key));
  }

  /** Drops the stamps that this process holds: they may no longer be the current ones. */
  forgetStamps(): void {
    this.stamp.doubt();
    this.tags.forgetStamps();
  }

  /**
   * Invalidates each tag separately: one whose server can't be asked is journalled (the first such failure is
   * reported), and the others are acknowledged all the same.
   */
  async invalidateTags(tags: readonly string[]): Promise<void> {
    const outcomes = await Promise.allSettled(tags.map((tag) => this.tags.invalidate(tag)));
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) {
      this.faults.report('clear', failure.reason);
    }
  }

  /** Reads held stamps again, see `touchStamps`. Never rejects. */
  touchStamps(onDifferent: (encodedKey: string) => void): Promise<void> {
    return touchStamps(this.tier, this.stamp, this.tags, onDifferent);
  }

  private async deletePiece(
    keys: readonly string[],
    holdOffMs: number | undefined,
    isPiece: boolean,
  ): Promise<readonly string[]> {
    const { position } = this.redis.journal;
    try {
      const existed = await this.tier.delete(
        keys.map((key) => this.layout.entryKeys(key)),
        holdOffMs,
        isPiece,
      );
      keys.forEach((key) => this.settle(key, position));
      return keys.filter((_key, index) => existed[index]);
    } catch (error) {
      keys.forEach((key) => this.journal(key));
      this.faults.report('delete', error);
      return [];
    }
  }

  /** Reads everything about an entry except its value. @throws the tier's errors */
  inspect(key: string): Promise<InspectedEntry> {
    return this.tier.inspect(this.layout.entryKeys(key));
  }

  /** Deletes what a load has stored that must not be kept. */
  private async undo(key: string, outcome: WriteOutcome | 'superseded'): Promise<WriteOutcome | 'superseded'> {
    if (outcome !== 'done') {
      return outcome;
    }
    await this.delete([key]);
    return 'superseded';
  }

  private outcomeOfFailedFill(error: unknown, keys: readonly string[]): WriteOutcome {
    const outcome = this.faults.outcomeOfFailure('set', error);
    if (outcome === 'unknown') {
      keys.forEach((key) => this.journal(key));
    }
    return outcome;
  }

  private afterStoring(key: string, outcome: WriteOutcome, position: number): void {
    if (outcome === 'done') {
      this.settle(key, position);
    } else if (outcome === 'unknown') {
      this.journal(key);
    }
  }

  private settle(key: string, position: number): void {
    if (this.redis.journal.size > 0) {
      this.redis.journal.settleKey(this.layout.clearStampKey, this.layout.valueKey(key), position);
    }
  }

  /** The entry to store. The life of its tags' stamps is extended to cover its own. */
  private entryOf({ payload, life, loadMs, stamps, sealing }: RemoteWrite): EntryToStore {
    const graceMs = this.codec.isPlain ? 0 : life.graceMs; // other programs would take a stale value for a fresh one
    this.listener.onSent(payload, life.ttlMs + graceMs);
    const tags = tagsOf(stamps);
    if (tags !== undefined) {
      this.tags.guard(tags, life.ttlMs + graceMs);
    }
    return { payload, ttlMs: life.ttlMs, graceMs, loadMs, stamps, sealing };
  }
}
