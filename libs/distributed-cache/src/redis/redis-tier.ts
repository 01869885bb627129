import {
  isEnvelope,
  type EncodedPayload,
  type EntryCodec,
  type EntryHeader,
  type SealedEntry,
  type Stamp,
} from '../codec/index.js';
import { CorruptEntryError } from '../errors/index.js';
import { companionKeyOf } from '../keys/index.js';
import { dropEntries, fillEntry, putEntry, putStamp, replaceEntry, type EntryKeys } from './entry-writes.js';
import { leaseCommandsOf } from './lease-scripts.js';
import type { RedisClient } from './redis-client.js';
import type { RedisConnection } from './redis-connection.js';

/** What Redis holds for a key: the value, when it was made, when its fresh life ends (the server's time), its stamps. */
export interface RedisEntry {
  readonly value: unknown;
  readonly header: EntryHeader;
  /** Size in Redis, header included. */
  readonly bytes: number;
  /**
   * Another program has written it, and nobody knows when: its header has no stamps, and the present as its time.
   */
  readonly isForeign: boolean;
}

/** Bytes as they were found. `beside`: they are no envelope, and this is what else is known of them. */
interface StoredBytes {
  readonly bytes: Buffer;
  readonly beside?: { readonly companion: Buffer | null; readonly lifeMs: number };
}

/** An encoded value and the lives that it gets. */
export interface EntryToStore {
  readonly payload: EncodedPayload;
  readonly ttlMs: number;
  /** How long Redis keeps it after the TTL. */
  readonly graceMs: number;
  /** How long its loader took. */
  readonly loadMs: number;
  readonly stamps: readonly Stamp[];
}

export interface TakenLease {
  /** Whether the lease is ours now. */
  readonly isTaken: boolean;
  /** Whether nobody may store a load for now: the key was deleted with a hold-off. */
  readonly isHeldOff: boolean;
  /** What Redis held at that moment. */
  readonly entry: RedisEntry | undefined;
}

/**
 * L2: entries in Redis, as envelopes. Keys are full key names (`KeyLayout`). Every method waits at most the connection's
 * deadline and throws a `TierUnavailableError`, `TierTimeoutError`, `TierDisconnectedError` or `TierReplyError`, reads also a
 * `CorruptEntryError`; what to do about it is the caller's to decide.
 */
export class RedisTier {
  constructor(
    private readonly connection: RedisConnection,
    private readonly codec: EntryCodec,
    /** Awaited after each change. */
    private readonly afterOwnChange: () => Promise<void> = async () => {},
    /** How long a value of another program that has no expiry counts, from each reading of it. */
    private readonly endlessTtlMs = 3_600_000,
  ) {}

  get isLive(): boolean {
    return this.connection.isLive;
  }

  /** The same tier for a namespace whose entries lie there in another way. */
  withCodec(codec: EntryCodec, endlessTtlMs: number): RedisTier {
    return new RedisTier(this.connection, codec, this.afterOwnChange, endlessTtlMs);
  }

  /** What is left of an entry's fresh life, in milliseconds; zero or less: it is stale. */
  remainingMs(header: EntryHeader): number {
    return header.expiresAtMs - this.connection.serverNowMs();
  }

  async get(valueKey: string): Promise<RedisEntry | undefined> {
    const stored = await this.connection.run('GET', async (client) =>
      this.lookAround(client, valueKey, await client.getBuffer(valueKey)),
    );
    return stored && this.decode(valueKey, stored);
  }

  /** In the order of `valueKeys`. An entry that can't be read is its error, not the failure of all. */
  async getMany(valueKeys: readonly string[]): Promise<(RedisEntry | CorruptEntryError | undefined)[]> {
    if (valueKeys.length === 0) {
      return [];
    }
    const found = await this.connection.run('MGET', async (client) => {
      const all = await (this.connection.isCluster
        ? Promise.all(valueKeys.map((valueKey) => client.getBuffer(valueKey)))
        : client.mgetBuffer([...valueKeys]));
      return Promise.all(valueKeys.map((valueKey, index) => this.lookAround(client, valueKey, all[index] ?? null)));
    });
    return Promise.all(
      valueKeys.map(async (valueKey, index) => {
        const stored = found[index];
        try {
          return stored && (await this.decode(valueKey, stored));
        } catch (error) {
          if (error instanceof CorruptEntryError) {
            return error;
          }
          throw error;
        }
      }),
    );
  }

  /** Stores under a lease of ours. @returns false if the lease is no longer ours: a `set` or deletion came first */
  async fill(keys: EntryKeys, token: string, entry: EntryToStore): Promise<boolean> {
    return this.change('FILL', (client) => fillEntry(client, keys, token, this.seal(keys, entry), redisLifeMs(entry)));
  }

  /** Stores, all in one round trip, and takes the leases of whoever is loading these keys. */
  async setMany(entries: readonly (readonly [keys: EntryKeys, entry: EntryToStore])[]): Promise<void> {
    await this.change('SET', (client) =>
      Promise.all(entries.map(([keys, entry]) => putEntry(client, keys, this.seal(keys, entry), redisLifeMs(entry)))),
    );
  }

  /** Deletes, and takes the leases of whoever is loading these keys. @returns how many values there were */
  async delete(keys: readonly EntryKeys[], holdOffMs?: number): Promise<number> {
    return keys.length === 0 ? 0 : this.change('UNLINK', (client) => dropEntries(client, keys, holdOffMs));
  }

  /**
   * Ends the fresh life of an entry now, keeps it as stale for `graceMs`, and takes the lease of whoever is loading it. What
   * can't be kept as stale (text for other programs, bytes that can't be read) is deleted. An entry that changes meanwhile is the newer one and stays as it is. @returns whether there was an entry
   */
  async expire(keys: EntryKeys, graceMs: number): Promise<boolean> {
    return this.change('EXPIRE', async (client) => {
      const bytes = await client.getBuffer(keys.valueKey);
      if (bytes === null) {
        await dropEntries(client, [keys]);
        return false;
      }
      const expired = this.expired(keys, bytes);
      if (expired === undefined) {
        await dropEntries(client, [keys]);
      } else {
        await replaceEntry(client, keys, bytes, expired.bytes, Math.max(1, Math.ceil(graceMs)));
      }
      return true;
    });
  }

  /**
   * Takes the lease of a key, if nobody has it, and reads the value again in the same step.
   * @param leaseMs how long the lease lasts unless it is renewed
   */
  async take({ valueKey, leaseKey }: EntryKeys, token: string, leaseMs: number): Promise<TakenLease> {
    const [taken, stored] = await this.connection.run('TAKE', async (client) => {
      const [answer, bytes] = await leaseCommandsOf(client).ndcTakeBuffer(valueKey, leaseKey, token, leaseMs);
      return [answer, await this.lookAround(client, valueKey, bytes)] as const;
    });
    return {
      isTaken: taken === 1,
      isHeldOff: taken === 2,
      entry: stored && (await this.decodeOrMiss(valueKey, stored)),
    };
  }

  /** @returns whether the lease is still ours */
  async renew({ leaseKey }: EntryKeys, token: string, leaseMs: number): Promise<boolean> {
    const renewed = await this.connection.run('RENEW', (client) =>
      leaseCommandsOf(client).ndcRenew(leaseKey, token, leaseMs),
    );
    return renewed === 1;
  }

  /** Gives a lease of ours back; one that is not ours is left alone. */
  async release({ leaseKey }: EntryKeys, token: string): Promise<void> {
    await this.connection.run('RELEASE', (client) => leaseCommandsOf(client).ndcRelease(leaseKey, token));
  }

  /** @returns the stamp, or `undefined` if there is none */
  async readStamp(stampKey: string): Promise<string | undefined> {
    return (await this.connection.run('GET', (client) => client.get(stampKey))) ?? undefined;
  }

  /** Puts `stamp` where there is none. @returns the stamp that is there now, ours or an earlier one */
  async createStamp(stampKey: string, stamp: string): Promise<string> {
    const created = await this.change('SET', (client) => client.set(stampKey, stamp, 'NX'));
    return created === 'OK' ? stamp : ((await this.readStamp(stampKey)) ?? this.createStamp(stampKey, stamp));
  }

  async replaceStamp(stampKey: string, stamp: string): Promise<void> {
    await this.change('SET', (client) => putStamp(client, stampKey, stamp));
  }

  private async change<Result>(operation: string, send: (client: RedisClient) => Promise<Result>): Promise<Result> {
    const result = await this.connection.run(operation, send);
    await this.afterOwnChange();
    return result;
  }

  /** Only what is no envelope costs a second round trip: its life and its companion are known to Redis alone. */
  private async lookAround(
    client: RedisClient,
    valueKey: string,
    bytes: Buffer | null,
  ): Promise<StoredBytes | undefined> {
    if (bytes === null || isEnvelope(bytes) || !this.codec.readsPlain) {
      return bytes === null ? undefined : { bytes };
    }
    const [companion, lifeMs] = await Promise.all([client.getBuffer(companionKeyOf(valueKey)), client.pttl(valueKey)]);
    return { bytes, beside: { companion, lifeMs } };
  }

  private async decode(valueKey: string, { bytes, beside }: StoredBytes): Promise<RedisEntry | undefined> {
    if (beside !== undefined) {
      return this.decodePlain(bytes, beside);
    }
    const { header, payload } = this.codec.open(bytes, valueKey);
    // Never `await` the value itself: a cached object with a method `then` would be called.
    const { value } = await this.codec.decode(payload);
    return { value, header, bytes: bytes.length, isForeign: false };
  }

  private decodePlain(
    bytes: Buffer,
    { companion, lifeMs }: NonNullable<StoredBytes['beside']>,
  ): RedisEntry | undefined {
    const plain = this.codec.readPlain(bytes, companion);
    const isGone = lifeMs === -2; // meanwhile
    if (plain === undefined || isGone) {
      return undefined;
    }
    const { value, header, expiresAtMs = Infinity } = plain;
    if (header !== undefined) {
      return { value, header, bytes: bytes.length, isForeign: false };
    }
    const createdAtMs = this.connection.serverNowMs();
    const knownEndMs = Math.min(expiresAtMs, lifeMs < 0 ? Infinity : createdAtMs + lifeMs);
    const endsAtMs = knownEndMs === Infinity ? createdAtMs + this.endlessTtlMs : knownEndMs;
    return endsAtMs <= createdAtMs
      ? undefined
      : {
          value,
          header: { createdAtMs, expiresAtMs: endsAtMs, loadMs: 0, stamps: [] },
          bytes: bytes.length,
          isForeign: true,
        };
  }

  /** In the answer of a script bytes that can't be read are no reason to give the lease up. */
  private async decodeOrMiss(valueKey: string, stored: StoredBytes): Promise<RedisEntry | undefined> {
    try {
      return await this.decode(valueKey, stored);
    } catch (error) {
      if (error instanceof CorruptEntryError) {
        return undefined;
      }
      throw error;
    }
  }

  /** The same entry with its fresh life over; `undefined`: there is no such thing. */
  private expired({ valueKey }: EntryKeys, bytes: Buffer): SealedEntry | undefined {
    try {
      const { header, payload } = this.codec.open(bytes, valueKey);
      const isPlain = this.codec.isPlain; // an older envelope, from before the format was changed
      return isPlain
        ? undefined
        : this.codec.seal({ ...header, expiresAtMs: this.connection.serverNowMs() }, payload, valueKey);
    } catch {
      return undefined;
    }
  }

  /** Only on a live connection: before its first answer the server's clock is not known. */
  private seal({ valueKey }: EntryKeys, { payload, ttlMs, loadMs, stamps }: EntryToStore): SealedEntry {
    const createdAtMs = this.connection.serverNowMs();
    return this.codec.seal({ createdAtMs, expiresAtMs: createdAtMs + ttlMs, loadMs, stamps }, payload, valueKey);
  }
}

/** `PX` takes whole milliseconds, at least one. */
function redisLifeMs({ ttlMs, graceMs }: EntryToStore): number {
  return Math.max(1, Math.ceil(ttlMs + graceMs));
}
