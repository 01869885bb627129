import {
  asDecoded,
  ENVELOPE_VERSION,
  type EnvelopeHead,
  HEAD_BYTES,
  readHead,
  isEnvelope,
  type Decoded,
  type EncodedPayload,
  type EntryCodec,
  type EntryHeader,
  type SealedEntry,
  type Stamp,
} from '../codec/index.js';
import { CorruptEntryError } from '../errors/index.js';
import { allOf } from './batches.js';
import { HOLD_OFF } from './entry-commands.js';
import { type EntryKeys, sidecarKeyOf } from '../keys/index.js';
import type { RedisConnection } from './redis-connection.js';
import { requireAll, sendRequest, type Request } from './send.js';

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
  readonly isLegacy: boolean;
}

/** What Redis knows of a legacy value (one that is not an envelope), besides its bytes. */
interface LegacyMetadata {
  /** The sidecar of the key; it may belong to other bytes. */
  readonly sidecar: Buffer | null;
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
  /** Receives when the entry was made, in the server's time; text for other programs has no such time. */
  readonly sealing?: Sealing | undefined;
}

/** When an entry was made, once it is sent. */
export interface Sealing {
  createdAtMs: number | undefined;
}

/** Redis may keep an entry without a grace this much longer than its TTL: the clock of Redis is estimated, and a command travels. */
const CLOCK_ERROR_MS = 100;

interface ExpiredEntry {
  readonly sealed: SealedEntry;
  /** How long it is still kept as stale, in milliseconds; 0: it was stored without a grace. */
  readonly graceMs: number;
}

/**
 * Converts between the bytes in Redis and the entries of one namespace. The bytes are an envelope, or text that other
 * programs read, or a value that another program has written. To read the latter takes a second round trip, one for all
 * values of a read, within the rest of the first one's deadline: `askedAtMs` is when the first began, by the connection's
 * deadline clock.
 */
export class StoredEntries {
  constructor(
    private readonly connection: RedisConnection,
    private readonly codec: EntryCodec,
    /**
     * How long a value of another program without an expiry stays fresh, in milliseconds, counted from each read of it.
     */
    private readonly endlessTtlMs: number,
  ) {}

  /**
   * The same entry with its fresh life over, and the rest of its grace; `undefined` when the bytes can't be kept as a stale entry.
   * @param keptMs how long Redis will keep the entry, in milliseconds; negative: unknown
   */
  expired({ valueKey }: EntryKeys, bytes: Buffer, keptMs: number): ExpiredEntry | undefined {
    try {
      const { header, payload } = this.codec.open(bytes, valueKey);
      const isPlain = this.codec.isPlain; // an older envelope, written before the format of the namespace was changed
      const nowMs = this.connection.serverNowMs(valueKey);
      const keptStaleMs = keptMs - Math.max(0, header.expiresAtMs - nowMs);
      const graceMs = keptStaleMs > CLOCK_ERROR_MS ? keptStaleMs : 0;
      return isPlain
        ? undefined
        : { graceMs, sealed: this.codec.seal({ ...header, expiresAtMs: nowMs }, payload, valueKey) };
    } catch {
      return undefined;
    }
  }

  /**
   * Encodes an entry with its times. To be called on a live connection only: the server's clock is unknown before its
   * first answer.
   */
  seal({ valueKey }: EntryKeys, { payload, ttlMs, loadMs, stamps, sealing }: EntryToStore): SealedEntry {
    const createdAtMs = this.connection.serverNowMs(valueKey);
    if (sealing !== undefined && !this.codec.isPlain) {
      sealing.createdAtMs = createdAtMs;
    }
    return this.codec.seal({ createdAtMs, expiresAtMs: createdAtMs + ttlMs, loadMs, stamps }, payload, valueKey);
  }

  /**
   * Decodes one entry. The result is a promise only for a large value, which is decompressed off the event loop, and
   * for a value of another program.
   */
  entryIn(
    valueKey: string,
    bytes: Buffer,
    askedAtMs: number,
  ): RedisEntry | undefined | Promise<RedisEntry | undefined> {
    return this.isLegacy(bytes)
      ? this.readMetadata([valueKey], askedAtMs).then((metadata) => this.legacyEntry(valueKey, bytes, metadata))
      : this.decodeEnvelope(valueKey, bytes, askedAtMs);
  }

  /**
   * Decodes several entries of one server, in the order of `valueKeys`. An entry that can't be read becomes its error;
   * the others are still returned.
   */
  async entriesIn(
    valueKeys: readonly string[],
    found: readonly (Buffer | null)[],
    askedAtMs: number,
  ): Promise<(RedisEntry | CorruptEntryError | undefined)[]> {
    const legacyKeys = valueKeys.filter((_, index) => {
      const bytes = found[index];
      return bytes !== null && bytes !== undefined && this.isLegacy(bytes);
    });
    const metadata = legacyKeys.length === 0 ? NO_METADATA : await this.readMetadata(legacyKeys, askedAtMs);
    const entries = valueKeys.map((valueKey, index) => this.entryOrError(valueKey, found[index], metadata, askedAtMs));
    return [...(await allOf(entries))];
  }

  private entryOrError(
    valueKey: string,
    bytes: Buffer | null | undefined,
    metadata: ReadonlyMap<string, LegacyMetadata>,
    askedAtMs: number,
  ): RedisEntry | CorruptEntryError | undefined | Promise<RedisEntry | CorruptEntryError> {
    if (bytes === null || bytes === undefined) {
      return undefined;
    }
    try {
      if (this.isLegacy(bytes)) {
        return this.legacyEntry(valueKey, bytes, metadata);
      }
      const entry = this.decodeEnvelope(valueKey, bytes, askedAtMs);
      return entry instanceof Promise ? entry.catch(corruptOnly) : entry;
    } catch (error) {
      return corruptOnly(error);
    }
  }

  /** Whether another program has written the bytes, so that they can't be decoded without their metadata. */
  private isLegacy(bytes: Buffer): boolean {
    return !isEnvelope(bytes) && this.codec.readsPlain;
  }

  private legacyEntry(
    valueKey: string,
    bytes: Buffer,
    metadata: ReadonlyMap<string, LegacyMetadata>,
  ): RedisEntry | undefined {
    const known = metadata.get(valueKey);
    return known && this.decodeLegacy(valueKey, bytes, known);
  }

  private async readMetadata(
    valueKeys: readonly string[],
    askedAtMs: number,
  ): Promise<ReadonlyMap<string, LegacyMetadata>> {
    const { connection } = this;
    const reading = connection.run(
      'PTTL',
      (client) => Promise.all(valueKeys.map(async (key) => [key, await sendRequest(client, metadataOf(key))] as const)),
      valueKeys[0],
    );
    return new Map(await connection.deadlineClock.withinRest('PTTL', askedAtMs, reading));
  }

  /**
   * Decodes an envelope. The result is a promise only for a large value, which is decompressed off the event loop, and
   * while its dictionary is read, in a second round trip.
   * @throws CorruptEntryError, either way
   */
  private decodeEnvelope(valueKey: string, bytes: Buffer, askedAtMs: number): RedisEntry | Promise<RedisEntry> {
    const { header, payload } = this.codec.open(bytes, valueKey);
    // Never `await` the value itself: a cached object with a method `then` would be called.
    const decoded = this.codec.decode(payload);
    if (!(decoded instanceof Promise)) {
      return entryOf(decoded, header, bytes.length);
    }
    const { deadlineClock } = this.connection;
    const decoding =
      payload.compressor === 'dictionary' ? deadlineClock.withinRest('GET', askedAtMs, decoded) : decoded;
    return decoding.then((result) => entryOf(result, header, bytes.length));
  }

  /**
   * Decodes bytes that are not an envelope.
   * @returns `undefined` when the value has expired, or the bytes represent no value
   * @throws CorruptEntryError
   */
  private decodeLegacy(valueKey: string, bytes: Buffer, { sidecar, lifeMs }: LegacyMetadata): RedisEntry | undefined {
    const plain = this.codec.readPlain(bytes, sidecar);
    const isGone = lifeMs === -2; // it has expired meanwhile
    if (plain === undefined || isGone) {
      return undefined;
    }
    const { value, header, expiresAtMs = Infinity } = plain;
    if (header !== undefined) {
      return entryOf(asDecoded(value), header, bytes.length);
    }
    const createdAtMs = this.connection.serverNowMs(valueKey);
    const knownEndMs = Math.min(expiresAtMs, lifeMs < 0 ? Infinity : createdAtMs + lifeMs);
    const endsAtMs = knownEndMs === Infinity ? createdAtMs + this.endlessTtlMs : knownEndMs;
    return endsAtMs <= createdAtMs
      ? undefined
      : {
          ...asDecoded(value),
          header: { createdAtMs, expiresAtMs: endsAtMs, loadMs: 0, stamps: [] },
          bytes: bytes.length,
          isLegacy: true,
        };
  }
}

function entryOf({ value, isTree, isAscii, text }: Decoded, header: EntryHeader, bytes: number): RedisEntry {
  return { value, isTree, isAscii, text, header, bytes, isLegacy: false };
}

const NO_METADATA: ReadonlyMap<string, LegacyMetadata> = new Map();

/** Reads the life and the sidecar of a legacy value. Both names are in one slot. */
function metadataOf(valueKey: string): Request<LegacyMetadata> {
  return {
    commands: [
      ['pttl', valueKey],
      ['get', sidecarKeyOf(valueKey)],
    ],
    resultOf: (outcomes) => {
      const [lifeMs, sidecar] = requireAll(outcomes);
      return { sidecar: sidecar as Buffer | null, lifeMs: Number(lifeMs) };
    },
  };
}

function corruptOnly(error: unknown): CorruptEntryError {
  if (error instanceof CorruptEntryError) {
    return error;
  }
  throw error;
}

/** What Redis holds under the names of one entry, without the value. */
export type InspectedEntry = {
  readonly lease: 'free' | 'held' | 'held-off';
  /** Size in Redis, header included. */
  readonly storedBytes: number;
} & (
  | { readonly state: 'missing' }
  | { readonly state: 'corrupt'; readonly reason: string }
  | ({
      readonly state: 'found';
      readonly header: EntryHeader;
      /** How long Redis will keep it, in milliseconds. */
      readonly keptMs: number;
    } & Pick<EncodedPayload, 'serializer' | 'compressor' | 'rawBytes'>)
);

/** What `inspect` reports for text that any program can read. */
const PLAIN_TEXT = { serializer: 'json', compressor: 'none' } as const;

/** Reads everything about an entry except its value. @param get reads a value that another program has written */
export async function inspectEntry(
  connection: RedisConnection,
  codec: EntryCodec,
  { valueKey, leaseKey }: EntryKeys,
  get: () => Promise<RedisEntry | undefined>,
): Promise<InspectedEntry> {
  const [bytes, keptMs, token] = await connection.request('INSPECT', valueKey, () => ({
    commands: [
      ['get', valueKey],
      ['pttl', valueKey],
      ['get', leaseKey],
    ],
    resultOf: (outcomes) => requireAll(outcomes) as [Buffer | null, number, Buffer | null],
  }));
  const lease = token === null ? 'free' : String(token) === HOLD_OFF ? 'held-off' : 'held';
  if (bytes === null) {
    return { state: 'missing', lease, storedBytes: 0 };
  }
  const { length: storedBytes } = bytes;
  try {
    if (!isEnvelope(bytes)) {
      const entry = await get();
      return entry === undefined
        ? { state: 'missing', lease, storedBytes: 0 }
        : { ...PLAIN_TEXT, state: 'found', header: entry.header, rawBytes: storedBytes, keptMs, storedBytes, lease };
    }
    const { header, payload } = codec.open(bytes, valueKey);
    const { serializer, compressor, rawBytes } = payload;
    await codec.decode(payload);
    return { state: 'found', header, serializer, compressor, rawBytes, keptMs, storedBytes, lease };
  } catch (error) {
    if (error instanceof CorruptEntryError) {
      return { state: 'corrupt', reason: error.message, storedBytes, lease };
    }
    throw error;
  }
}

/** See `RedisTier.readHead`. */
export async function readHeadOf(connection: RedisConnection, valueKey: string): Promise<EnvelopeHead | undefined> {
  const bytes = await connection.run(
    'CHECK GETRANGE',
    (client) => client.getrangeBuffer(valueKey, 0, HEAD_BYTES - 1),
    valueKey,
  );
  if (bytes.length === 0) {
    return undefined;
  }
  const head = readHead(bytes);
  if (head?.version !== ENVELOPE_VERSION) {
    throw new CorruptEntryError('it has no envelope of this version');
  }
  return head;
}
