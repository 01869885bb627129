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

/** What Redis holds for a key: the value, when it was made, when its fresh life ends (the server's time), its stamps. */
export interface RedisEntry extends Decoded {
  readonly header: EntryHeader;
  /** Size in Redis, header included. */
  readonly bytes: number;
  /**
   * Another program has written it, and nobody knows when: its header has no stamps, and the present as its time.
   */
  readonly isForeign: boolean;
}

/** What is known besides of bytes that are no envelope. */
export interface Beside {
  /** The companions there are; no more than one belongs to the bytes. */
  readonly companions: readonly (Buffer | null)[];
  readonly lifeMs: number;
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

/** Entries as one namespace keeps them in Redis: envelopes, or text that other programs read; and what others wrote there. */
export class EntryBytes {
  constructor(
    readonly codec: EntryCodec,
    /** The clock of the server that has this key. */
    private readonly serverNowMs: (valueKey: string) => number,
    /** How long a value of another program that has no expiry counts, from each reading of it. */
    private readonly endlessTtlMs: number,
  ) {}

  /** Whether the bytes say all of themselves, or are to be refused for what they are. */
  isOurs(bytes: Buffer): boolean {
    return isEnvelope(bytes) || !this.codec.readsPlain;
  }

  /** What is no envelope costs a second round trip: its life and its companion are known to Redis alone. */
  async lookBeside(client: RedisClient, valueKey: string): Promise<Beside> {
    const [companions, lifeMs] = await Promise.all([readCompanions(client, valueKey), client.pttl(valueKey)]);
    return { companions, lifeMs };
  }

  /** At once, but for a large value that is decompressed off the event loop. @throws CorruptEntryError, either way */
  decodeOurs(valueKey: string, bytes: Buffer): RedisEntry | Promise<RedisEntry> {
    const { header, payload } = this.codec.open(bytes, valueKey);
    // Never `await` the value itself: a cached object with a method `then` would be called.
    const decoded = this.codec.decode(payload);
    return decoded instanceof Promise
      ? decoded.then((result) => entryOf(result, header, bytes.length))
      : entryOf(decoded, header, bytes.length);
  }

  /** Bytes that are no envelope. @throws CorruptEntryError */
  decodePlain(valueKey: string, bytes: Buffer, { companions, lifeMs }: Beside): RedisEntry | undefined {
    const readings = companions.map((companion) => this.codec.readPlain(bytes, companion));
    const plain = readings.find((reading) => reading?.header !== undefined) ?? readings[0];
    const isGone = lifeMs === -2; // meanwhile
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

  /** The same entry with its fresh life over; `undefined`: there is no such thing. */
  expired({ valueKey }: EntryKeys, bytes: Buffer): SealedEntry | undefined {
    try {
      const { header, payload } = this.codec.open(bytes, valueKey);
      const isPlain = this.codec.isPlain; // an older envelope, from before the format was changed
      return isPlain
        ? undefined
        : this.codec.seal({ ...header, expiresAtMs: this.serverNowMs(valueKey) }, payload, valueKey);
    } catch {
      return undefined;
    }
  }

  /** Only on a live connection: before its first answer the server's clock is not known. */
  seal({ valueKey }: EntryKeys, { payload, ttlMs, loadMs, stamps }: EntryToStore): SealedEntry {
    const createdAtMs = this.serverNowMs(valueKey);
    return this.codec.seal({ createdAtMs, expiresAtMs: createdAtMs + ttlMs, loadMs, stamps }, payload, valueKey);
  }
}

function entryOf({ value, isTree, isAscii, text }: Decoded, header: EntryHeader, bytes: number): RedisEntry {
  return { value, isTree, isAscii, text, header, bytes, isForeign: false };
}
