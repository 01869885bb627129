/** The number of slots of a Redis Cluster. */
export const SLOT_COUNT = 16_384;

/** CRC-16/XMODEM (polynomial 0x1021) of one byte at the top, as in the Redis Cluster specification. */
const CRC_OF_BYTE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) {
    crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  }
  return crc;
});

/**
 * The slot in which Redis Cluster keeps this key: the CRC-16 of its UTF-8 bytes, or of the text between the first `{`
 * and the next `}` if that is not empty (Redis Cluster specification, "Hash tags"). The package `cluster-key-slot`
 * differs from Redis for a key with an empty tag before another one, such as `{}{a}`.
 */
export function keySlot(key: string): number {
  const hashed = taggedPart(key);
  let crc = 0;
  for (let at = 0; at < hashed.length; at++) {
    const unit = hashed.charCodeAt(at);
    if (unit > 0x7f) {
      return slotOfBytes(Buffer.from(hashed));
    }
    crc = next(crc, unit);
  }
  return crc % SLOT_COUNT;
}

function slotOfBytes(bytes: Uint8Array): number {
  return bytes.reduce(next, 0) % SLOT_COUNT;
}

function next(crc: number, byte: number): number {
  return ((crc << 8) & 0xffff) ^ (CRC_OF_BYTE[(crc >> 8) ^ byte] ?? 0);
}

function taggedPart(key: string): string {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}
