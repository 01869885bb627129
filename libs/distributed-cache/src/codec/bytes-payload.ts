import { CorruptEntryError, ValueRefusedError } from '../errors/index.js';
import { BytesValue, inspectValue, parseJsonText } from '../values/index.js';

/**
 * The payload of kind `bytes`:
 *
 *    0  length of the head  uint32, big-endian
 *    4  head                a JSON object, UTF-8
 *    …  body                to the end
 */
const LENGTH_BYTES = 4;

/**
 * Writes head and body into one new buffer.
 * @throws ValueRefusedError (`unserializable`) for a head that JSON does not keep
 */
export function writeBytesPayload({ head, body }: BytesValue): Buffer {
  const { isJson, isExact } = inspectValue(head);
  if (!isJson || !isExact) {
    throw new ValueRefusedError('unserializable', 'the head of bytes that is not plain JSON');
  }
  const text = JSON.stringify(head);
  const bodyAt = LENGTH_BYTES + Buffer.byteLength(text);
  const payload = Buffer.allocUnsafe(bodyAt + body.length);
  payload.writeUInt32BE(bodyAt - LENGTH_BYTES, 0);
  payload.write(text, LENGTH_BYTES);
  payload.set(body, bodyAt);
  return payload;
}

/**
 * Reads a value; its body is a copy, so that L1 does not keep the buffer of the answer of Redis.
 * @throws CorruptEntryError for any bytes that {@link writeBytesPayload} does not write, and no other error
 */
export function readBytesPayload(payload: Buffer): BytesValue {
  const bodyAt = payload.length < LENGTH_BYTES ? Infinity : LENGTH_BYTES + payload.readUInt32BE(0);
  if (bodyAt > payload.length) {
    throw new CorruptEntryError('the head of its bytes is cut off');
  }
  const head = parseJsonText(payload.toString('utf8', LENGTH_BYTES, bodyAt));
  if (typeof head !== 'object' || head === null || Array.isArray(head)) {
    throw new CorruptEntryError('the head of its bytes is not an object');
  }
  return new BytesValue(head as Record<string, unknown>, payload.subarray(bodyAt));
}
