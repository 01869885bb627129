import { CorruptEntryError } from '../errors/index.js';
import { compressorOf } from './compressors.js';
import type { CompressorId } from './payload.js';

/**
 * The raw size from which a value is compressed off the event loop; below it, the use of the thread pool costs more
 * than the work.
 */
const COMPRESS_ASYNC_FROM_BYTES = 32 * 1024;
/**
 * The raw size from which a value is decompressed off the event loop. Decompression is five times as fast: below this
 * size it blocks the event loop for less time than the parsing of its output.
 */
const DECOMPRESS_ASYNC_FROM_BYTES = 128 * 1024;
/**
 * Compressed bytes are kept only if they save at least a tenth: a smaller gain is not worth the decompression on every
 * read.
 */
const MAX_RATIO = 0.9;

export interface CompressedBytes {
  readonly compressor: CompressorId;
  readonly bytes: Buffer;
}

/** Compresses the bytes, or leaves them as they are when that saves too little or is not possible here. Never fails. */
export function compress(id: CompressorId, raw: Buffer): CompressedBytes | Promise<CompressedBytes> {
  const asItIs: CompressedBytes = { compressor: 'none', bytes: raw };
  const compressor = id === 'none' ? undefined : compressorOf(id);
  if (compressor === undefined) {
    return asItIs;
  }
  const smaller = (bytes: Buffer): CompressedBytes =>
    bytes.length <= raw.length * MAX_RATIO ? { compressor: id, bytes } : asItIs;
  if (raw.length >= COMPRESS_ASYNC_FROM_BYTES) {
    // It fails when there is no memory for it; the value can still be stored as it is.
    return compressor.compress(raw).then(smaller, () => asItIs);
  }
  try {
    return smaller(compressor.compressSync(raw));
  } catch {
    return asItIs;
  }
}

/**
 * Decompresses the output of `compress`. It never produces more than `rawBytes`, so a decompression bomb stops at the
 * size that its header declares; the caller has checked that `rawBytes` itself is acceptable.
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
