import type { EntryCodec, EntryHeader, EnvelopeHead } from '../codec/index.js';
import type { CorruptEntryError } from '../errors/index.js';
import { BatchedReads, type ReadCompany, type Reads } from './batches.js';
import {
  dropEntries,
  fill,
  put,
  replace,
  createStamp,
  extendStamp,
  putStamp,
  readStamp,
  readStampLife,
  type StoredStamp,
} from './entry-commands.js';
import type { EntryKeys } from '../keys/index.js';
import { hasEnded, type LeaseAttempt, Leases, markEnded } from './leases.js';
import type { RedisClient } from './redis-client.js';
import type { RedisConnection } from './redis-connection.js';
import type { SendCost } from './send-queue.js';
import { requireAll, sendRequest, sendTogether, type Request } from './send.js';
import {
  inspectEntry,
  readHeadOf,
  StoredEntries,
  type EntryToStore,
  type InspectedEntry,
  type RedisEntry,
} from './stored-entry.js';

const MAX_KEYS_PER_READ = 512;

/** What goes with the changes that a tier makes. An operation waits for the promises; a rejection: it does not count as done. */
export interface OwnChanges {
  /** Called when a change of these keys is about to be sent. */
  before?(operation: string, keys: readonly string[]): Promise<void> | undefined;
  /** Called when Redis has acknowledged it. */
  after(operation: string, keys: readonly string[]): Promise<void> | undefined;
}

/**
 * L2, the tier in Redis: reads and writes entries as envelopes, under full key names (`KeyLayout`). Every method waits
 * at most the connection's deadline and throws a `TierUnavailableError`, `TierTimeoutError`, `TierDisconnectedError` or
 * `TierReplyError`, reads also a `CorruptEntryError`; the caller decides what to do about it.
 */
export class RedisTier {
  private readonly stored: StoredEntries;

  constructor(
    private readonly connection: RedisConnection,
    private readonly codec: EntryCodec,
    private readonly ownChanges: OwnChanges = { after: () => undefined },
    /**
     * How long a value of another program without an expiry stays fresh, in milliseconds, counted from each read of it.
     */
    endlessTtlMs = 3_600_000,
    private readonly reads: Reads = new BatchedReads(connection),
    private readonly leases = new Leases(connection, reads.onReadAtPrimary),
  ) {
    this.stored = new StoredEntries(connection, codec, endlessTtlMs);
  }

  /** The same tier for a namespace that stores its entries in another format. */
  withCodec(codec: EntryCodec, endlessTtlMs: number): RedisTier {
    return new RedisTier(this.connection, codec, this.ownChanges, endlessTtlMs, this.reads, this.leases);
  }

  /** The rest of an entry's fresh life, in milliseconds; zero or less when it is stale. */
  remainingMs(valueKey: string, header: EntryHeader): number {
    return header.expiresAtMs - this.connection.serverNowMs(valueKey);
  }

  /** Reads the bytes of an entry, for {@link entryIn}; `null` when there is none. */
  read(valueKey: string, company?: ReadCompany): Promise<Buffer | null> {
    return this.reads.get(valueKey, company);
  }

  /**
   * Decodes the bytes that {@link read} has found. The result is a promise only for a large value, which is
   * decompressed off the event loop, and for a value of another program, which takes a second round trip.
   * @param askedAtMs when the first round trip began, by the connection's deadline clock: both share one deadline
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

  /** Reads everything about an entry except its value, which is decoded only to find out whether it can be. */
  inspect(keys: EntryKeys): Promise<InspectedEntry> {
    return inspectEntry(this.connection, this.codec, keys, () => this.get(keys.valueKey));
  }

  /** Groups items by server. The methods for several keys take the keys of one group. */
  groups<Item>(items: readonly Item[], keyOf: (item: Item) => string): readonly (readonly Item[])[] {
    return this.connection.topology.groups(items, keyOf);
  }

  /** How many keys one call of {@link getMany} should have at most, so that its reply is not too large. */
  get keysPerRead(): number {
    return this.reads.keysPerReply(MAX_KEYS_PER_READ);
  }

  /**
   * Reads several entries of one server (see {@link groups}), in the order of `valueKeys`. An entry that can't be read
   * becomes its error; the others are still returned.
   * @param isPiece whether they are one of several pieces of a batch; here and below: see `SendCost`
   */
  async getMany(
    valueKeys: readonly string[],
    isPiece = false,
  ): Promise<(RedisEntry | CorruptEntryError | undefined)[]> {
    if (valueKeys.length === 0) {
      return [];
    }
    const askedAtMs = this.connection.deadlineClock.nowMs();
    const found = await this.reads.getMany(valueKeys, isPiece);
    return this.stored.entriesIn(valueKeys, found, askedAtMs);
  }

  /**
   * Stores a loaded value under a lease of this process.
   * @returns false if the process no longer holds the lease: a `set` or a deletion came first
   */
  fill(keys: EntryKeys, token: string, entry: EntryToStore): Promise<boolean> {
    return this.request('FILL', keys.valueKey, (client) => this.filling(client, { keys, token, entry }), {
      bytes: entry.payload.bytes.length,
      isUrgent: true,
    });
  }

  /** As {@link fill}, for values of one server, in one write. @returns for each, in order, whether it is stored */
  fillMany(fills: readonly Fill[], isPiece: boolean): Promise<readonly boolean[]> {
    return this.change(
      'FILL',
      fills.map(({ keys }) => keys.valueKey),
      (client) =>
        sendTogether(
          client,
          fills.map((each) => this.filling(client, each)),
        ),
      { bytes: sumOfBytes(fills.map(({ entry }) => entry)), isUrgent: true, isPiece },
    );
  }

  /** Stores a value, and ends the lease of a load under way for this key. */
  set(keys: EntryKeys, entry: EntryToStore): Promise<void> {
    return this.request('SET', keys.valueKey, (client) => this.putting(client, keys, entry), {
      bytes: entry.payload.bytes.length,
    });
  }

  /**
   * Stores several values on one server, in one round trip, and ends the leases of the loads under way for these keys.
   */
  async setMany(entries: readonly (readonly [keys: EntryKeys, entry: EntryToStore])[], isPiece = false): Promise<void> {
    await this.change(
      'SET',
      entries.map(([{ valueKey }]) => valueKey),
      (client) =>
        sendTogether(
          client,
          entries.map(([keys, entry]) => this.putting(client, keys, entry)),
        ),
      { bytes: sumOfBytes(entries.map(([, entry]) => entry)), isPiece },
    );
  }

  /**
   * Deletes entries on one server, and ends the leases of the loads under way for these keys.
   * @returns for each, in order, whether there was a value
   */
  async delete(keys: readonly EntryKeys[], holdOffMs?: number, isPiece = false): Promise<readonly boolean[]> {
    const valueKeys = keys.map(({ valueKey }) => valueKey);
    // remedy: deletion-holds-off
    return keys.length === 0
      ? []
      : this.change('UNLINK', valueKeys, (client) => dropEntries(client, keys, holdOffMs), { isPiece });
  }

  /**
   * Ends the fresh life of an entry now, keeps it as stale for the grace that it was stored with, or for `leastGraceMs` if that is longer,
   * and ends the lease of a load under way for it. Without either grace it is deleted. A value that can't be kept as stale (text for other programs, bytes that can't be read) is deleted. An entry
   * that changes meanwhile is newer and stays as it is.
   * @returns whether there was an entry
   */
  async expire(keys: EntryKeys, leastGraceMs: number): Promise<boolean> {
    return this.change('EXPIRE', [keys.valueKey], async (client) => {
      const asked = [client.getBuffer(keys.valueKey), client.pttl(keys.valueKey).catch(() => -1)] as const;
      const [bytes, keptMs] = await Promise.all(asked);
      if (bytes === null) {
        await dropEntries(client, [keys]);
        return false;
      }
      const expired = this.stored.expired(keys, bytes, keptMs);
      const lifeMs = Math.ceil(Math.max(leastGraceMs, expired?.graceMs ?? 0));
      if (expired === undefined || lifeMs === 0) {
        await dropEntries(client, [keys]);
      } else {
        await sendRequest(client, replace(client, keys, bytes, expired.sealed.bytes, lifeMs));
      }
      return true;
    });
  }

  /**
   * Takes the lease of a key, if it is free, and reads the bytes of the value after it, or in the same step.
   * @param leaseMs how long the lease lasts unless it is renewed, in milliseconds
   */
  take(keys: EntryKeys, token: string, leaseMs: number): Promise<LeaseAttempt> {
    return this.leases.acquire(keys, token, leaseMs);
  }

  /** As {@link take}, for keys of one server, in one write. */
  takeMany(
    wanted: readonly { readonly keys: EntryKeys; readonly token: string; readonly leaseMs: number }[],
    isPiece: boolean,
  ): Promise<LeaseAttempt[]> {
    return this.leases.acquireMany(wanted, isPiece);
  }

  /** Whether the primary has the same bytes of a value as before. */
  isStill(valueKey: string, bytes: Buffer | null): Promise<boolean> {
    return this.reads.atPrimary.ask('GET', valueKey, () => comparing(valueKey, bytes));
  }

  /** Renews a lease. @returns whether this process still holds it */
  renew(keys: EntryKeys, token: string, leaseMs: number): Promise<boolean> {
    return this.leases.renew(keys, token, leaseMs);
  }

  /** Releases a lease of this process; a lease of another process is left alone. */
  release(keys: EntryKeys, token: string): Promise<void> {
    return this.leases.release(keys, token);
  }

  /**
   * Releases a lease after a load that ended without a value to store, and leaves a mark for the processes that wait
   * for it.
   */
  async releaseUnfilled(keys: EntryKeys, token: string): Promise<void> {
    const marking = this.connection.request('MARK', keys.leaseKey, () => markEnded(keys));
    // If the mark is refused, the waiting processes find out later.
    await Promise.all([marking.catch(() => {}), this.release(keys, token)]);
  }

  /** Whether a load of this key has ended without a value to store a moment ago. */
  hasEndedUnfilled(keys: EntryKeys): Promise<boolean> {
    return this.connection.request('GET', keys.leaseKey, () => hasEnded(keys));
  }

  /**
   * Reads the head of an entry, and nothing of its value.
   * @returns `undefined` when there is none
   * @throws CorruptEntryError for a value without an envelope of this version
   */
  readHead(valueKey: string): Promise<EnvelopeHead | undefined> {
    return readHeadOf(this.connection, valueKey);
  }

  /** Reads a stamp. @returns `undefined` when there is none */
  readStamp(stampKey: string, isPiece = false): Promise<string | undefined> {
    return this.reads.ask('GET', stampKey, () => readStamp(stampKey), { isPiece });
  }

  /** Stores `stamp` if there is none. @returns the stamp that is there now, this one or an earlier one */
  async createStamp(stampKey: string, stamp: string, lifeMs?: number, isPiece = false): Promise<string> {
    const isOurs = await this.request('SETNX', stampKey, () => createStamp(stampKey, stamp, lifeMs), { isPiece });
    const present = isOurs ? stamp : await this.readStamp(stampKey, isPiece);
    return present ?? this.createStamp(stampKey, stamp, lifeMs, isPiece);
  }

  replaceStamp(stampKey: string, stamp: string, lifeMs?: number): Promise<void> {
    // A name of its own: it succeeds without a SET where Redis is full.
    return this.request('STAMP', stampKey, () => putStamp(stampKey, stamp, lifeMs));
  }

  readStampLife(stampKey: string, isPiece = false): Promise<StoredStamp | undefined> {
    return this.reads.ask('GET', stampKey, () => readStampLife(stampKey), { isPiece });
  }

  /**
   * Extends the life of a stamp. Its content does not change, so nothing is announced.
   * @returns false if the stamp is gone, or lives longer than that
   */
  extendStamp(stampKey: string, lifeMs: number, hasNoTtl: boolean): Promise<boolean> {
    return this.connection.request('PEXPIRE', stampKey, () => extendStamp(stampKey, lifeMs, hasNoTtl));
  }

  /**
   * Reads the stamps of one server, see {@link groups}; in the order of `stampKeys`. They are read at the primary, which
   * evicts what is not used there.
   */
  async readStamps(stampKeys: readonly string[]): Promise<(string | undefined)[]> {
    const found = await this.reads.atPrimary.getMany(stampKeys);
    return found.map((bytes) => bytes?.toString());
  }

  private putting(client: RedisClient, keys: EntryKeys, entry: EntryToStore): Request<void> {
    return put(client, keys, this.stored.seal(keys, entry), redisLifeMs(entry));
  }

  private filling(client: RedisClient, { keys, token, entry }: Fill): Request<boolean> {
    return fill(client, keys, token, this.stored.seal(keys, entry), redisLifeMs(entry));
  }

  /** Sends a request that changes one key. */
  private request<Result>(
    operation: string,
    key: string,
    build: (client: RedisClient) => Request<Result>,
    cost?: SendCost,
  ): Promise<Result> {
    return this.recorded(operation, [key], () => this.connection.request(operation, key, build, cost));
  }

  private change<Result>(
    operation: string,
    keys: readonly string[],
    send: (client: RedisClient) => Promise<Result>,
    cost?: SendCost,
  ): Promise<Result> {
    return this.recorded(operation, keys, () => this.connection.run(operation, send, keys[0], cost));
  }

  private recorded<Result>(operation: string, keys: readonly string[], send: () => Promise<Result>): Promise<Result> {
    const { ownChanges } = this;
    // remedy: outbox-before-change
    const recording = ownChanges.before?.(operation, keys);
    const changing = send().then((result) => ownChanges.after(operation, keys)?.then(() => result) ?? result);
    return recording === undefined ? changing : Promise.all([changing, recording]).then(([result]) => result);
  }
}

function comparing(valueKey: string, bytes: Buffer | null): Request<boolean> {
  return {
    commands: [['get', valueKey]],
    resultOf: (outcomes) => {
      const found = requireAll(outcomes)[0] as Buffer | null;
      return found === null || bytes === null ? found === bytes : found.equals(bytes);
    },
  };
}

/** A loaded value, and the token of the lease under which it is stored. */
export interface Fill {
  readonly keys: EntryKeys;
  readonly token: string;
  readonly entry: EntryToStore;
}

function sumOfBytes(entries: readonly EntryToStore[]): number {
  return entries.reduce((sum, { payload }) => sum + payload.bytes.length, 0);
}

/** `PX` takes whole milliseconds, at least one. */
function redisLifeMs({ ttlMs, graceMs }: EntryToStore): number {
  return Math.max(1, Math.ceil(ttlMs + graceMs));
}
