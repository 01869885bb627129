import { crc32, deflateSync, inflateSync } from 'node:zlib';
import { connectTo, HOUR_MS, RawCache, type Opened } from './two-tiers.js';

/** From here on this library compresses, by default. */
const COMPRESS_FROM_BYTES = 2048;
const HEAD_BYTES = 5;

/**
 * What this library promises of a value from Redis, with as little around it as there can be: compressed text under a checksum, a value
 * that no caller can change for others, and a copy in memory. Loads take no lease, though `set` drops it; no deadlines, generations,
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

  /** A load under a lease that is gone is not stored. */
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

/** A checksum, a byte that says whether it is compressed, the text. */
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
