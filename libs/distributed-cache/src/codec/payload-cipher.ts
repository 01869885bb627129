/**
 * Encryption of a payload: AES-256-GCM, with a random nonce for each.
 *
 *    0  uint8      length of the key's id
 *    1  key id     ASCII
 *    …  nonce      12 bytes
 *    …  tag        16 bytes
 *    …  ciphertext to the end; as long as the plain text
 *
 * Three things are authenticated in addition: everything before the envelope's checksum (times, stamps, sizes, flags),
 * the key's id, and the name of the Redis key. An entry that is moved to another key, or given another expiry or stamp,
 * can't be decrypted. The one thing that this can't detect is an older entry of the same key that is put back
 * unchanged.
 */
import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto';
import { CorruptEntryError } from '../errors/index.js';
import type { PayloadSealer } from './envelope.js';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The keys by their ids. */
export interface KeyRing {
  /** The id of the key for writing. */
  readonly currentId: string;
  key(id: string): KeyObject | undefined;
}

/**
 * Makes the object that encrypts the payload of one entry.
 * @param valueKey the full name of the Redis key under which the entry will be stored
 */
export function payloadSealer(keys: KeyRing, valueKey: string): PayloadSealer {
  const id = Buffer.from(keys.currentId);
  const key = keys.key(keys.currentId);
  if (key === undefined) {
    throw new TypeError('The current encryption key is not among the keys');
  }
  return {
    overheadBytes: 1 + id.length + NONCE_BYTES + TAG_BYTES,
    seal(plain, head) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(boundData(head, id, valueKey));
      const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([Buffer.of(id.length), id, nonce, cipher.getAuthTag(), ciphertext]);
    },
  };
}

/** Decrypts a payload. @throws CorruptEntryError, and nothing else; its message names a key's id and never a key */
export function openPayload(keys: KeyRing | undefined, valueKey: string, head: Buffer, sealed: Buffer): Buffer {
  const idEnd = 1 + (sealed[0] ?? 0);
  const tagAt = idEnd + NONCE_BYTES;
  const textAt = tagAt + TAG_BYTES;
  if (sealed.length < textAt) {
    throw new CorruptEntryError('its encrypted value is cut off');
  }
  const id = sealed.subarray(1, idEnd);
  const key = keys?.key(id.toString('latin1'));
  if (key === undefined) {
    throw new CorruptEntryError(`it is encrypted with the key ${shown(id)}, which is not configured here`);
  }
  try {
    const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(idEnd, tagAt), { authTagLength: TAG_BYTES });
    decipher.setAAD(boundData(head, id, valueKey));
    decipher.setAuthTag(sealed.subarray(tagAt, textAt));
    return Buffer.concat([decipher.update(sealed.subarray(textAt)), decipher.final()]);
  } catch {
    throw new CorruptEntryError('its encrypted value is not what was written under this key');
  }
}

/**
 * The authenticated data. Each part has its length before it, so that no two divisions into parts give the same bytes.
 */
function boundData(head: Buffer, id: Buffer, valueKey: string): Buffer {
  return Buffer.concat(
    [head, id, Buffer.from(valueKey)].flatMap((part) => {
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  );
}

function shown(id: Buffer): string {
  const text = id.toString('latin1');
  return /^[\w.-]{1,64}$/.test(text) ? JSON.stringify(text) : '(no id)';
}
