import { CorruptEntryError } from '../errors/index.js';
import { compressorOf } from './compressors.js';
import type { CompressorId } from './payload.js';

/** From this raw size on, a value is compressed off the event loop; below it, a hop to the thread pool costs more than the work. */
const COMPRESS_ASYNC_FROM_BYTES = 32 * 1024;
/** Decompression is five times as fast: up to here it holds the event loop up for less than parsing what comes out does. */
const DECOMPRESS_ASYNC_FROM_BYTES = 128 * 1024;
/** Compressed bytes are kept only if they save at least a tenth: less is not worth the decompression on every read. */
const MAX_RATIO = 0.9;

export interface CompressedBytes {
  readonly compressor: CompressorId;
  readonly bytes: Buffer;
}

/** Compresses, or leaves the bytes as they are where that saves too little or can't be done here. Never fails. */
export function compress(id: CompressorId, raw: Buffer): CompressedBytes | Promise<CompressedBytes> {
  const asItIs: CompressedBytes = { compressor: 'none', bytes: raw };
  const compressor = id === 'none' ? undefined : compressorOf(id);
  if (compressor === undefined) {
    return asItIs;
  }
  const smaller = (bytes: Buffer): CompressedBytes =>
    bytes.length <= raw.length * MAX_RATIO ? { compressor: id, bytes } : asItIs;
  if (raw.length >= COMPRESS_ASYNC_FROM_BYTES) {
    // It fails where there is no memory for it; the value can still be stored as it is.
    return compressor.compress(raw).then(smaller, () => asItIs);
  }
  try {
    return smaller(compressor.compressSync(raw));
  } catch {
    return asItIs;
  }
}

/**
 * Undoes `compress`. Never produces more than `rawBytes`, so a bomb ends as soon as it has told its lie; that
 * `rawBytes` itself is acceptable has been checked by the caller.
 * @throws CorruptEntryError (or rejects with it), and nothing else
 */
export function decompress(id: CompressorId, bytes: Buffer, rawBytes: number): Buffer | Promise<Buffer> {
  if (id === 'none') {
    return exactly(rawBytes, bytes);
  }
  const compressor = compressorOf(id);
  if (compressor === undefined) {
    throw new CorruptEntryError(`it is compressed with ${id}, which this process does not have`);
  }
  if (rawBytes >= DECOMPRESS_ASYNC_FROM_BYTES) {
    return compressor.decompress(bytes, rawBytes).then((raw) => exactly(rawBytes, raw), refuse);
  }
  let raw: Buffer;
  try {
    raw = compressor.decompressSync(bytes, rawBytes);
  } catch {
    return refuse();
  }
  return exactly(rawBytes, raw);
}

function exactly(rawBytes: number, raw: Buffer): Buffer {
  if (raw.length !== rawBytes) {
    throw new CorruptEntryError(`its value has ${raw.length} bytes and not ${rawBytes}`);
  }
  return raw;
}

function refuse(): never {
  throw new CorruptEntryError("its value can't be decompressed to the size it declares");
}
