import type { EntryCodec, EntryHeader } from '../codec/index.js';
import type { CorruptEntryError, TierReplyError } from '../errors/index.js';
import { BatchedReads } from './batched-reads.js';
import { hasEnded, markEnded } from './ended-loads.js';
import { EntryBytes, type EntryToStore, type RedisEntry } from './entry-bytes.js';
import type { EntryKeys } from './entry-keys.js';
import { dropEntries, fillEntry, fillOnLine, putEntry, putOnLine, replaceEntry } from './entry-writes.js';
import { inspectEntry, type InspectedEntry } from './inspected-entry.js';
import { HOLD_OFF } from './lease-scripts.js';
import { Leases } from './leases.js';
import { inOneWrite, type RedisClient } from './redis-client.js';
import type { RedisConnection } from './redis-connection.js';
import type { SendCost } from './send-queue.js';
import { createStamp, extendStamp, putStamp, readStampLife, type StoredStamp } from './stamp-writes.js';
import { StoredEntries } from './stored-entries.js';

const MOST_KEYS_PER_READ = 512;

export interface TakenLease {
  /** Whether the lease is ours now. */
  readonly isTaken: boolean;
  /** The token of the load under way, ours or another's, as far as Redis says. */
  readonly owner: string | undefined;
  /** Whether nobody may store a load for now: the key was deleted with a hold-off. */
  readonly isHeldOff: boolean;
  /** What Redis held at that moment; an error: it can't be read, which is no reason to give the lease up. */
  readonly entry: RedisEntry | CorruptEntryError | undefined;
  /** Why Redis gives no lease to anybody: it is full, a replica, or forbids it. */
  readonly refusal: TierReplyError | undefined;
}

/**
 * L2: entries in Redis, as envelopes. Keys are full key names (`KeyLayout`). Every method waits at most the connection's
 * deadline and throws a `TierUnavailableError`, `TierTimeoutError`, `TierDisconnectedError` or `TierReplyError`, reads also a
 * `CorruptEntryError`; what to do about it is the caller's to decide.
 */
export class RedisTier {
  private readonly bytes: EntryBytes;
  private readonly stored: StoredEntries;

  constructor(
    private readonly connection: RedisConnection,
    codec: EntryCodec,
    /** After each change of these keys; waited for where there is something to do, and it fails if the change can't count as done. */
    private readonly afterOwnChange: (operation: string, keys: readonly string[]) => Promise<void> | undefined = () =>
      undefined,
    /** How long a value of another program that has no expiry counts, from each reading of it. */
    endlessTtlMs = 3_600_000,
    private readonly reads = new BatchedReads(connection),
    private readonly leases = new Leases(connection),
  ) {
    this.bytes = new EntryBytes(codec, (valueKey) => connection.serverNowMs(valueKey), endlessTtlMs);
    this.stored = new StoredEntries(connection, this.bytes);
  }

  /** The same tier for a namespace whose entries lie there in another way. */
  withCodec(codec: EntryCodec, endlessTtlMs: number): RedisTier {
    return new RedisTier(this.connection, codec, this.afterOwnChange, endlessTtlMs, this.reads, this.leases);
  }

  /** What is left of an entry's fresh life, in milliseconds; zero or less: it is stale. */
  remainingMs(valueKey: string, header: EntryHeader): number {
    return header.expiresAtMs - this.connection.serverNowMs(valueKey);
  }

  /** The bytes of an entry, for {@link entryIn}; `null`: there is none. */
  read(valueKey: string): Promise<Buffer | null> {
    return this.reads.get(valueKey);
  }

  /**
   * What {@link read} has found. At once, but for a large value that is decompressed off the event loop, and for what another program
   * has written: that takes a second round trip.
   * @param askedAtMs when the first one began, by the connection's deadline clock: they share one deadline
   */
  entryIn(
    valueKey: string,
    bytes: Buffer,
    askedAtMs: number,
  ): RedisEntry | undefined | Promise<RedisEntry | undefined> {
    return this.stored.entryIn(valueKey, bytes, askedAtMs);
  }

  async get(valueKey: string): Promise<RedisEntry | undefined> {
    const askedAtMs = this.connection.deadlineClock.nowMs();
    const bytes = await this.read(valueKey);
    return bytes === null ? undefined : this.entryIn(valueKey, bytes, askedAtMs);
  }

  /** All about an entry but its value, which is read only to see whether it can be. */
  inspect(keys: EntryKeys): Promise<InspectedEntry> {
    return inspectEntry(this.connection, this.bytes.codec, keys, () => this.get(keys.valueKey));
  }

  /** Splits by server: what the methods for several keys take at once. */
  groups<Item>(items: readonly Item[], keyOf: (item: Item) => string): readonly (readonly Item[])[] {
    return this.connection.nodes.groups(items, keyOf);
  }

  /** How many keys one call of {@link getMany} should be given, so that its reply is not too large. */
  get keysPerRead(): number {
    return this.reads.keysPerReply(MOST_KEYS_PER_READ);
  }

  /**
   * In the order of `valueKeys`, which are all on one server: see {@link groups}. An entry that can't be read is its error,
   * not the failure of all.
   */
  async getMany(valueKeys: readonly string[]): Promise<(RedisEntry | CorruptEntryError | undefined)[]> {
    if (valueKeys.length === 0) {
      return [];
    }
    const askedAtMs = this.connection.deadlineClock.nowMs();
    const found = await this.reads.getMany(valueKeys);
    return this.stored.entriesIn(valueKeys, found, askedAtMs);
  }

  /** Stores under a lease of ours. @returns false if the lease is no longer ours: a `set` or deletion came first */
  fill(keys: EntryKeys, token: string, entry: EntryToStore): Promise<boolean> {
    const { line, exchange } = this.connection;
    const lifeMs = redisLifeMs(entry);
    const cost = { bytes: entry.payload.bytes.length, isUrgent: true };
    const filling =
      line === undefined || this.bytes.codec.isPlain
        ? this.connection.run(
            'FILL',
            (client) => fillEntry(client, keys, token, this.bytes.seal(keys, entry), lifeMs),
            keys.valueKey,
            cost,
          )
        : exchange.run<boolean>(
            line,
            'FILL',
            (to, listener) => fillOnLine(to, keys, token, this.bytes.seal(keys, entry).bytes, lifeMs, listener),
            cost,
          );
    return this.afterChange('FILL', [keys.valueKey], this.leases.learnFrom(filling));
  }

  /** Stores, and takes the lease of whoever is loading this key. */
  set(keys: EntryKeys, entry: EntryToStore): Promise<unknown> {
    const valueKeys = [keys.valueKey];
    const { line } = this.connection;
    const cost = { bytes: entry.payload.bytes.length };
    if (line === undefined || this.bytes.codec.isPlain) {
      return this.change(
        'SET',
        valueKeys,
        (client) => putEntry(client, keys, this.bytes.seal(keys, entry), redisLifeMs(entry)),
        cost,
      );
    }
    const putting = this.connection.exchange.run(
      line,
      'SET',
      (to, listener) => putOnLine(to, keys, this.bytes.seal(keys, entry).bytes, redisLifeMs(entry), listener),
      cost,
    );
    return this.afterChange('SET', valueKeys, putting);
  }

  /** As {@link set}, on one server, all in one round trip, and ends the leases of the loads of these keys. */
  async setMany(entries: readonly (readonly [keys: EntryKeys, entry: EntryToStore])[]): Promise<void> {
    const valueKeys = entries.map(([{ valueKey }]) => valueKey);
    const bytes = entries.reduce((sum, [, { payload }]) => sum + payload.bytes.length, 0);
    await this.change(
      'SET',
      valueKeys,
      (client) =>
        inOneWrite(client, () =>
          Promise.all(
            entries.map(([keys, entry]) => putEntry(client, keys, this.bytes.seal(keys, entry), redisLifeMs(entry))),
          ),
        ),
      { bytes },
    );
  }

  /** Deletes on one server, and ends the leases of the loads of these keys. @returns for each, in order, whether there was a value */
  async delete(keys: readonly EntryKeys[], holdOffMs?: number): Promise<readonly boolean[]> {
    const valueKeys = keys.map(({ valueKey }) => valueKey);
    return keys.length === 0 ? [] : this.change('UNLINK', valueKeys, (client) => dropEntries(client, keys, holdOffMs));
  }

  /**
   * Ends the fresh life of an entry now, keeps it as stale for `graceMs`, and takes the lease of whoever is loading it. What
   * can't be kept as stale (text for other programs, bytes that can't be read) is deleted. An entry that changes meanwhile is
   * the newer one and stays as it is. @returns whether there was an entry
   */
  async expire(keys: EntryKeys, graceMs: number): Promise<boolean> {
    return this.change('EXPIRE', [keys.valueKey], async (client) => {
      const bytes = await client.getBuffer(keys.valueKey);
      if (bytes === null) {
        await dropEntries(client, [keys]);
        return false;
      }
      const expired = this.bytes.expired(keys, bytes);
      if (expired === undefined) {
        await dropEntries(client, [keys]);
      } else {
        await replaceEntry(client, keys, bytes, expired.bytes, Math.max(1, Math.ceil(graceMs)));
      }
      return true;
    });
  }

  /**
   * Takes the lease of a key, if nobody has it, and reads the value after it, or in the same step.
   * @param leaseMs how long the lease lasts unless it is renewed
   */
  async take(keys: EntryKeys, token: string, leaseMs: number): Promise<TakenLease> {
    const askedAtMs = this.connection.deadlineClock.nowMs();
    const { owner, bytes, refusal } = await this.leases.take(keys, token, leaseMs);
    const [entry] = await this.stored.entriesIn([keys.valueKey], [bytes], askedAtMs);
    return { isTaken: owner === token, owner, isHeldOff: owner === HOLD_OFF, entry, refusal };
  }

  /** @returns whether the lease is still ours */
  renew(keys: EntryKeys, token: string, leaseMs: number): Promise<boolean> {
    return this.leases.renew(keys, token, leaseMs);
  }

  /** Gives a lease of ours back; one that is not ours is left alone. */
  release(keys: EntryKeys, token: string): Promise<void> {
    return this.leases.release(keys, token);
  }

  /** As {@link release}, after a load that ended without a value to store: the processes that wait for it are told. */
  async releaseUnfilled(keys: EntryKeys, token: string): Promise<void> {
    const marking = markEnded(this.connection, keys).catch(() => {}); // where it is refused they find out by themselves, later
    await Promise.all([marking, this.release(keys, token)]);
  }

  /** Whether a load of this key has ended without a value to store a moment ago. */
  hasEndedUnfilled(keys: EntryKeys): Promise<boolean> {
    return hasEnded(this.connection, keys);
  }

  /** @returns the stamp, or `undefined` if there is none */
  async readStamp(stampKey: string): Promise<string | undefined> {
    return (await this.connection.run('GET', (client) => client.get(stampKey), stampKey)) ?? undefined;
  }

  /** Puts `stamp` where there is none. @returns the stamp that is there now, ours or an earlier one */
  async createStamp(stampKey: string, stamp: string, lifeMs?: number): Promise<string> {
    const isOurs = await this.change('SETNX', [stampKey], (client) => createStamp(client, stampKey, stamp, lifeMs));
    return isOurs ? stamp : ((await this.readStamp(stampKey)) ?? this.createStamp(stampKey, stamp, lifeMs));
  }

  async replaceStamp(stampKey: string, stamp: string, lifeMs?: number): Promise<void> {
    await this.change('SET', [stampKey], (client) => putStamp(client, stampKey, stamp, lifeMs));
  }

  readStampLife(stampKey: string): Promise<StoredStamp | undefined> {
    return this.connection.run('GET', (client) => readStampLife(client, stampKey), stampKey);
  }

  /** No change of what the stamp says: nothing is announced. @returns false if it is gone, or lives longer than that */
  extendStamp(stampKey: string, lifeMs: number, hasNoTtl: boolean): Promise<boolean> {
    return this.connection.run('PEXPIRE', (client) => extendStamp(client, stampKey, lifeMs, hasNoTtl), stampKey);
  }

  /** Of one server, see {@link groups}; in the order of `stampKeys`. */
  async readStamps(stampKeys: readonly string[]): Promise<(string | undefined)[]> {
    const found = await this.reads.getMany(stampKeys);
    return found.map((bytes) => bytes?.toString());
  }

  private change<Result>(
    operation: string,
    keys: readonly string[],
    send: (client: RedisClient) => Promise<Result>,
    cost?: SendCost,
  ): Promise<Result> {
    return this.afterChange(operation, keys, this.connection.run(operation, send, keys[0], cost));
  }

  private async afterChange<Result>(
    operation: string,
    keys: readonly string[],
    changing: Promise<Result>,
  ): Promise<Result> {
    const result = await changing;
    const rest = this.afterOwnChange(operation, keys);
    if (rest !== undefined) {
      await rest;
    }
    return result;
  }
}

/** `PX` takes whole milliseconds, at least one. */
function redisLifeMs({ ttlMs, graceMs }: EntryToStore): number {
  return Math.max(1, Math.ceil(ttlMs + graceMs));
}
