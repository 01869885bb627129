import { isEnvelope, type EncodedPayload, type EntryCodec, type EntryHeader } from '../codec/index.js';
import { CorruptEntryError } from '../errors/index.js';
import type { RedisEntry } from './entry-bytes.js';
import type { EntryKeys } from './entry-keys.js';
import { HOLD_OFF } from './lease-scripts.js';
import type { RedisConnection } from './redis-connection.js';

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
  const [bytes, keptMs, token] = await connection.run(
    'GET',
    (client) => Promise.all([client.getBuffer(valueKey), client.pttl(valueKey), client.get(leaseKey)]),
    valueKey,
  );
  const lease = token === null ? 'free' : token === HOLD_OFF ? 'held-off' : 'held';
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
