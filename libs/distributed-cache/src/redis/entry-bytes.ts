import {
  asDecoded,
  isEnvelope,
  type Decoded,
  type EncodedPayload,
  type EntryCodec,
  type EntryHeader,
  type SealedEntry,
  type Stamp,
} from '../codec/index.js';
import type { EntryKeys } from './entry-keys.js';
import { readCompanions } from './former-names.js';
import type { RedisClient } from './redis-client.js';

/**
 * An entry as Redis holds it: the value, when it was made, when its fresh life ends (the server's time), its stamps.
 */
export interface RedisEntry extends Decoded {
  readonly header: EntryHeader;
  /** Size in Redis, header included. */
  readonly bytes: number;
  /**
   * Another program has written the value at an unknown time: its header has no stamps, and the present as its time.
   */
  readonly isForeign: boolean;
}

/** What Redis holds beside a value that is not an envelope: its companions and its remaining life. */
export interface Beside {
  /** The companions that exist (see `companionsOf`); at most one of them belongs to the bytes. */
  readonly companions: readonly (Buffer | null)[];
  readonly lifeMs: number;
}

/** An encoded value and the lives that it gets. */
export interface EntryToStore {
  readonly payload: EncodedPayload;
  readonly ttlMs: number;
  /** How long Redis keeps it after the TTL. */
  readonly graceMs: number;
  /** How long its loader took, in milliseconds. */
  readonly loadMs: number;
  readonly stamps: readonly Stamp[];
}

/**
 * Converts between the bytes in Redis and the entries of one namespace. The bytes are an envelope, or text that other
 * programs read, or a value that another program has written.
 */
export class EntryBytes {
  constructor(
    readonly codec: EntryCodec,
    /** The time of the server that holds this key, in milliseconds. */
    private readonly serverNowMs: (valueKey: string) => number,
    /**
     * How long a value of another program without an expiry stays fresh, in milliseconds, counted from each read of it.
     */
    private readonly endlessTtlMs: number,
  ) {}

  /** Whether the bytes can be decoded, or refused, without a second round trip to Redis. */
  isOurs(bytes: Buffer): boolean {
    return isEnvelope(bytes) || !this.codec.readsPlain;
  }

  /**
   * Reads the life and the companions of a value that is not an envelope. It costs a second round trip: only Redis
   * knows them.
   */
  async lookBeside(client: RedisClient, valueKey: string): Promise<Beside> {
    const [companions, lifeMs] = await Promise.all([readCompanions(client, valueKey), client.pttl(valueKey)]);
    return { companions, lifeMs };
  }

  /**
   * Decodes an envelope. The result is a promise only for a large value, which is decompressed off the event loop.
   * @throws CorruptEntryError, either way
   */
  decodeOurs(valueKey: string, bytes: Buffer): RedisEntry | Promise<RedisEntry> {
    const { header, payload } = this.codec.open(bytes, valueKey);
    // Never `await` the value itself: a cached object with a method `then` would be called.
    const decoded = this.codec.decode(payload);
    return decoded instanceof Promise
      ? decoded.then((result) => entryOf(result, header, bytes.length))
      : entryOf(decoded, header, bytes.length);
  }

  /**
   * Decodes bytes that are not an envelope.
   * @returns `undefined` when the value has expired, or the bytes represent no value
   * @throws CorruptEntryError
   */
  decodePlain(valueKey: string, bytes: Buffer, { companions, lifeMs }: Beside): RedisEntry | undefined {
    const readings = companions.map((companion) => this.codec.readPlain(bytes, companion));
    const plain = readings.find((reading) => reading?.header !== undefined) ?? readings[0];
    const isGone = lifeMs === -2; // it has expired meanwhile
    if (plain === undefined || isGone) {
      return undefined;
    }
    const { value, header, expiresAtMs = Infinity } = plain;
    if (header !== undefined) {
      return entryOf(asDecoded(value), header, bytes.length);
    }
    const createdAtMs = this.serverNowMs(valueKey);
    const knownEndMs = Math.min(expiresAtMs, lifeMs < 0 ? Infinity : createdAtMs + lifeMs);
    const endsAtMs = knownEndMs === Infinity ? createdAtMs + this.endlessTtlMs : knownEndMs;
    return endsAtMs <= createdAtMs
      ? undefined
      : {
          ...asDecoded(value),
          header: { createdAtMs, expiresAtMs: endsAtMs, loadMs: 0, stamps: [] },
          bytes: bytes.length,
          isForeign: true,
        };
  }

  /** The same entry with its fresh life over; `undefined` when the bytes can't be kept as a stale entry. */
  expired({ valueKey }: EntryKeys, bytes: Buffer): SealedEntry | undefined {
    try {
      const { header, payload } = this.codec.open(bytes, valueKey);
      const isPlain = this.codec.isPlain; // an older envelope, written before the format of the namespace was changed
      return isPlain
        ? undefined
        : this.codec.seal({ ...header, expiresAtMs: this.serverNowMs(valueKey) }, payload, valueKey);
    } catch {
      return undefined;
    }
  }

  /**
   * Encodes an entry with its times. To be called on a live connection only: the server's clock is unknown before its
   * first answer.
   */
  seal({ valueKey }: EntryKeys, { payload, ttlMs, loadMs, stamps }: EntryToStore): SealedEntry {
    const createdAtMs = this.serverNowMs(valueKey);
    return this.codec.seal({ createdAtMs, expiresAtMs: createdAtMs + ttlMs, loadMs, stamps }, payload, valueKey);
  }
}

function entryOf({ value, isTree, isAscii, text }: Decoded, header: EntryHeader, bytes: number): RedisEntry {
  return { value, isTree, isAscii, text, header, bytes, isForeign: false };
}
