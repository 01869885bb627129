import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CorruptEntryError } from '../errors/index.js';
import { EntryCodec } from './entry-codec.js';
import type { EntryHeader } from './envelope.js';
import type { KeyRing } from './payload-cipher.js';

const header: EntryHeader = { createdAtMs: 1, expiresAtMs: 2, loadMs: 3, stamps: [['#clear', 'one']] };
const secrets = { k1: randomBytes(32), k2: randomBytes(32) };

function ring(currentId: keyof typeof secrets, ...others: (keyof typeof secrets)[]): KeyRing {
  const keys = new Map<string, KeyObject>([currentId, ...others].map((id) => [id, createSecretKey(secrets[id])]));
  return { currentId, key: (id) => keys.get(id) };
}

function codecWith(encryptionKeys: KeyRing | undefined, encrypts = true): EntryCodec {
  const compression = { thresholdBytes: 100, codec: 'deflate' } as const;
  return new EntryCodec({ maxValueBytes: 1_000_000, compression, encryptionKeys, encrypts, legacy: !encrypts });
}

async function write(codec: EntryCodec, value: unknown, key = 'cache:x:1'): Promise<Buffer> {
  return codec.seal(header, await codec.encode(value).payload(), key).bytes;
}

async function read(codec: EntryCodec, bytes: Buffer, key = 'cache:x:1'): Promise<unknown> {
  return (await codec.decode(codec.open(bytes, key).payload)).value;
}

/** Rewrites the checksum, as an attacker with write access to Redis would. */
function forged(bytes: Buffer, change: (entry: Buffer) => void): Buffer {
  const entry = Buffer.from(bytes);
  const crcAt = 29 + entry.readUInt16BE(27);
  change(entry);
  entry.writeUInt32BE(crc32(entry.subarray(crcAt + 4), crc32(entry.subarray(0, crcAt))), crcAt);
  return entry;
}

const codec = codecWith(ring('k1'));
const values = [{ card: '4111 1111 1111 1111' }, new Map([['at', new Date(0)]]), 'compressible '.repeat(40), undefined];

describe('an encrypted entry', () => {
  it.each(values)('restores its value, and its bytes do not contain it (%#)', async (value) => {
    const bytes = await write(codec, value);
    expect(await read(codec, bytes)).toStrictEqual(value);
    expect(codec.open(bytes, 'cache:x:1').header).toStrictEqual(header);
    for (const part of ['4111', 'card', 'compressible']) {
      expect(bytes.includes(part)).toBe(false);
    }
  });

  it('has different bytes each time', async () => {
    const [one, two] = [await write(codec, 'same'), await write(codec, 'same')];
    expect(one?.equals(two ?? one)).toBe(false);
  });

  it('is compressed before it is encrypted', async () => {
    expect((await write(codec, 'a'.repeat(100_000))).length).toBeLessThan(1_000);
  });

  it('cannot be read under another key', async () => {
    const bytes = await write(codec, 1, 'cache:x:1');
    await expect(read(codec, bytes, 'cache:x:2')).rejects.toThrow(CorruptEntryError);
  });

  it.each<[string, (entry: Buffer) => void]>([
    ['another expiry', (entry) => entry.writeDoubleBE(3, 11)],
    ['another time of creation', (entry) => entry.writeDoubleBE(0, 3)],
    ['another load time', (entry) => entry.writeUInt32BE(4, 19)],
    ['another stamp', (entry) => entry.write('two', 29 + 2 + 6 + 1)],
    ['another serializer', (entry) => entry.writeUInt8((entry[2] ?? 0) ^ 1, 2)],
    ['another compressor', (entry) => entry.writeUInt8((entry[2] ?? 0) ^ 8, 2)],
    ['another size', (entry) => entry.writeUInt32BE(9, 23)],
    ['the flag taken away', (entry) => entry.writeUInt8((entry[2] ?? 0) & ~(1 << 6), 2)],
    ['an empty id', (entry) => entry.writeUInt8(0, 29 + entry.readUInt16BE(27) + 4)],
    ['an id to the end', (entry) => entry.writeUInt8(255, 29 + entry.readUInt16BE(27) + 4)],
  ])('cannot be read with a valid checksum and %s', async (_name, change) => {
    const bytes = forged(await write(codec, { a: 1 }), change);
    await expect(read(codec, bytes)).rejects.toThrow(CorruptEntryError);
  });

  it('cannot be read wherever a bit of its payload flips, with a valid checksum', async () => {
    const bytes = await write(codec, { a: 1 });
    const payloadAt = 29 + bytes.readUInt16BE(27) + 4;
    for (let bit = payloadAt * 8; bit < bytes.length * 8; bit++) {
      const damaged = forged(bytes, (entry) => entry.writeUInt8((entry[bit >> 3] ?? 0) ^ (1 << (bit & 7)), bit >> 3));
      await expect(read(codec, damaged)).rejects.toThrow(CorruptEntryError);
    }
  });
});

describe('the keys', () => {
  it('rotate: an entry of an old key is read while the key is configured, and the current key writes', async () => {
    const old = await write(codec, 'old');
    const rotated = codecWith(ring('k2', 'k1'));
    const fresh = await write(rotated, 'new');
    expect(await read(rotated, old)).toBe('old');
    expect(await read(rotated, fresh)).toBe('new');
    await expect(read(codec, fresh)).rejects.toThrow(/with the key "k2", which is not configured here/);
    await expect(read(codecWith(ring('k2')), old)).rejects.toThrow(CorruptEntryError);
  });

  it('are required: without them an encrypted entry cannot be read', async () => {
    await expect(read(codecWith(undefined, false), await write(codec, 1))).rejects.toThrow(CorruptEntryError);
  });

  it('reject plain entries where the cache encrypts, and accept both kinds where it only decrypts', async () => {
    const plain = await write(codecWith(undefined, false), 'plain');
    await expect(read(codec, plain)).rejects.toThrow(/not encrypted/);
    const reading = codecWith(ring('k1'), false);
    expect(await read(reading, plain)).toBe('plain');
    expect(await read(reading, await write(codec, 'secret'))).toBe('secret');
    expect(codec.readsPlain).toBe(false);
    expect(reading.readsPlain).toBe(true);
  });

  it('appear in no message', async () => {
    const bytes = await write(codec, 1);
    const failures = [
      read(codecWith(ring('k2')), bytes),
      read(codec, bytes, 'other'),
      read(
        codec,
        forged(bytes, (entry) => entry.fill(0, entry.length - 3)),
      ),
    ];
    for (const failure of failures) {
      const error = await failure.catch((reason: unknown) => reason);
      const text = JSON.stringify(error, Object.getOwnPropertyNames(error));
      for (const secret of Object.values(secrets)) {
        expect(text).not.toContain(secret.toString('hex'));
        expect(text).not.toContain(secret.toString('base64'));
      }
      expect(error).not.toHaveProperty('cause');
    }
  });
});
