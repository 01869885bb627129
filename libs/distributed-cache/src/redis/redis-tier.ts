import {
  readEnvelope,
  writeEnvelope,
  type EncodedPayload,
  type EntryHeader,
  type Stamp,
  type ValueCodec,
} from '../codec/index.js';
import { CorruptEntryError } from '../errors/index.js';
import type { RedisConnection } from './redis-connection.js';

/** What Redis holds for a key: the value, when it was made, when its fresh life ends (the server's time), its stamps. */
export interface RedisEntry {
  readonly value: unknown;
  readonly header: EntryHeader;
  /** Size in Redis, header included. */
  readonly bytes: number;
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

/**
 * L2: entries in Redis, as envelopes. Keys are full key names (`KeyLayout`). Every method waits at most the connection's
 * deadline and throws a `TierUnavailableError`, `TierTimeoutError`, `TierDisconnectedError` or `TierReplyError`, reads also a
 * `CorruptEntryError`; what to do about it is the caller's to decide.
 */
export class RedisTier {
  constructor(
    private readonly connection: RedisConnection,
    private readonly codec: ValueCodec,
  ) {}

  get isLive(): boolean {
    return this.connection.isLive;
  }

  /** What is left of an entry's fresh life, in milliseconds; zero or less: it is stale. */
  remainingMs(header: EntryHeader): number {
    return header.expiresAtMs - this.connection.serverNowMs();
  }

  async get(valueKey: string): Promise<RedisEntry | undefined> {
    const bytes = await this.connection.run('GET', (client) => client.getBuffer(valueKey));
    return bytes === null ? undefined : this.decode(bytes);
  }

  /** In the order of `valueKeys`. An entry that can't be read is its error, not the failure of all. */
  async getMany(valueKeys: readonly string[]): Promise<(RedisEntry | CorruptEntryError | undefined)[]> {
    if (valueKeys.length === 0) {
      return [];
    }
    const found = await this.connection.run('MGET', (client) =>
      this.connection.isCluster
        ? Promise.all(valueKeys.map((valueKey) => client.getBuffer(valueKey)))
        : client.mgetBuffer([...valueKeys]),
    );
    return Promise.all(
      found.map(async (bytes) => {
        try {
          return bytes === null ? undefined : await this.decode(bytes);
        } catch (error) {
          if (error instanceof CorruptEntryError) {
            return error;
          }
          throw error;
        }
      }),
    );
  }

  async set(valueKey: string, entry: EntryToStore): Promise<void> {
    const bytes = this.envelopeOf(entry);
    const lifeMs = redisLifeMs(entry);
    await this.connection.run('SET', (client) => client.set(valueKey, bytes, 'PX', lifeMs));
  }

  /** All in one go: one pipeline, or one command a key in a cluster. */
  async setMany(entries: readonly (readonly [valueKey: string, entry: EntryToStore])[]): Promise<void> {
    const writes = entries.map(([valueKey, entry]) => [valueKey, this.envelopeOf(entry), redisLifeMs(entry)] as const);
    await this.connection.run('SET', (client) =>
      Promise.all(writes.map(([valueKey, bytes, lifeMs]) => client.set(valueKey, bytes, 'PX', lifeMs))),
    );
  }

  /** @returns how many of the keys there were */
  async delete(valueKeys: readonly string[]): Promise<number> {
    if (valueKeys.length === 0) {
      return 0;
    }
    return this.connection.run('UNLINK', async (client) => {
      if (!this.connection.isCluster) {
        return client.unlink([...valueKeys]);
      }
      const counts = await Promise.all(valueKeys.map((valueKey) => client.unlink(valueKey)));
      return counts.reduce((sum, count) => sum + count, 0);
    });
  }

  /** @returns the stamp, or `undefined` if there is none */
  async readStamp(stampKey: string): Promise<string | undefined> {
    return (await this.connection.run('GET', (client) => client.get(stampKey))) ?? undefined;
  }

  /** Puts `stamp` where there is none. @returns the stamp that is there now, ours or an earlier one */
  async createStamp(stampKey: string, stamp: string): Promise<string> {
    const created = await this.connection.run('SET', (client) => client.set(stampKey, stamp, 'NX'));
    return created === 'OK' ? stamp : ((await this.readStamp(stampKey)) ?? this.createStamp(stampKey, stamp));
  }

  async replaceStamp(stampKey: string, stamp: string): Promise<void> {
    await this.connection.run('SET', (client) => client.set(stampKey, stamp));
  }

  private async decode(bytes: Buffer): Promise<RedisEntry> {
    const { header, payload } = readEnvelope(bytes);
    // Never `await` the value itself: a cached object with a method `then` would be called.
    const { value } = await this.codec.decode(payload);
    return { value, header, bytes: bytes.length };
  }

  private envelopeOf({ payload, ttlMs, loadMs, stamps }: EntryToStore): Buffer {
    const createdAtMs = this.connection.serverNowMs();
    return writeEnvelope({ createdAtMs, expiresAtMs: createdAtMs + ttlMs, loadMs, stamps }, payload);
  }
}

/** `PX` takes whole milliseconds, at least one. */
function redisLifeMs({ ttlMs, graceMs }: EntryToStore): number {
  return Math.max(1, Math.ceil(ttlMs + graceMs));
}
