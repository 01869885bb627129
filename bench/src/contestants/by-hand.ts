import { crc32, deflateSync, inflateSync } from 'node:zlib';
import { connectTo, HOUR_MS, RawCache, type Opened } from './two-tiers.js';

/** The default size from which on this library compresses. */
const COMPRESS_FROM_BYTES = 2048;
const HEAD_BYTES = 5;

/**
 * The guarantees of this library for a value from Redis, in as little code as possible: compressed text with a checksum,
 * a frozen value, and a copy in memory. `set` drops the lease, but loads take none. There are no deadlines, generations,
 * counters or bounds.
 */
export class ByHand extends RawCache {
  private readonly memory = new Map<string, string>();

  override async get(key: string): Promise<unknown> {
    const bytes = await this.client.getBuffer(nameOf(key));
    return bytes === null ? undefined : this.read(key, bytes);
  }

  override async getMany(keys: readonly string[]): Promise<unknown[]> {
    const found = await this.client.mgetBuffer(keys.map(nameOf));
    return found.map((bytes, index) => (bytes === null ? undefined : this.read(keys[index] ?? '', bytes)));
  }

  /** Drops the lease, so that no running load overwrites the value. */
  override async set(key: string, value: unknown): Promise<void> {
    const text = JSON.stringify(value);
    this.memory.set(key, text);
    const dropped = this.client.del(`${nameOf(key)}:lease`);
    await this.client.set(nameOf(key), seal(text), 'PX', HOUR_MS);
    await dropped;
  }

  private read(key: string, bytes: Buffer): unknown {
    const text = open(bytes);
    this.memory.set(key, text);
    return deepFrozen(JSON.parse(text));
  }
}

export async function openByHand(port: number): Promise<Opened<ByHand>> {
  const client = await connectTo(port);
  return { cache: new ByHand(client), close: async () => client.disconnect() };
}

function nameOf(key: string): string {
  return `by-hand:${key}`;
}

/** A checksum, a byte that tells whether the text is compressed, the text. */
function seal(text: string): Buffer {
  const raw = Buffer.from(text);
  const isLarge = raw.length >= COMPRESS_FROM_BYTES;
  const payload = isLarge ? deflateSync(raw, { level: 1 }) : raw;
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(crc32(payload));
  head[HEAD_BYTES - 1] = Number(isLarge);
  return Buffer.concat([head, payload]);
}

function open(bytes: Buffer): string {
  const payload = bytes.subarray(HEAD_BYTES);
  if (crc32(payload) !== bytes.readUInt32BE(0)) {
    throw new Error('the checksum does not match');
  }
  const isLarge = bytes[HEAD_BYTES - 1] === 1;
  return (isLarge ? inflateSync(payload, { chunkSize: 128 * 1024 }) : payload).toString();
}

function deepFrozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) {
      deepFrozen(part);
    }
    Object.freeze(value);
  }
  return value;
}
