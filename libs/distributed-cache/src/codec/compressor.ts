import { promisify } from 'node:util';
import { gunzip, gunzipSync, gzip, gzipSync } from 'node:zlib';
import { CorruptEntryError } from '../errors/index.js';
import type { CompressorId } from './payload.js';

/** From this raw size on, the work is done off the event loop; below it, a hop to the thread pool costs more than the work. */
const ASYNC_FROM_BYTES = 32 * 1024;
/** Compressed bytes are kept only if they save at least a tenth: less is not worth the decompression on every read. */
const MAX_RATIO = 0.9;
/** Fastest level. The default one takes about three times as long on JSON and saves some 5 % more. */
const GZIP_OPTIONS = { level: 1 };

const gzipAsync = promisify(gzip);
const gunzipAsync = promisify(gunzip);

export interface CompressedBytes {
  readonly compressor: CompressorId;
  readonly bytes: Buffer;
}

/** Compresses with gzip, or leaves the bytes as they are where that saves too little. Never fails. */
export function compress(raw: Buffer): CompressedBytes | Promise<CompressedBytes> {
  if (raw.length < ASYNC_FROM_BYTES) {
    return smaller(raw, gzipSync(raw, GZIP_OPTIONS));
  }
  return gzipAsync(raw, GZIP_OPTIONS).then(
    (zipped) => smaller(raw, zipped),
    () => smaller(raw, raw), // zlib had no memory; the value can still be stored as it is
  );
}

/**
 * Undoes `compress`. Never produces more than `rawBytes`, so a bomb ends as soon as it has told its lie; that
 * `rawBytes` itself is acceptable has been checked by the caller.
 * @throws CorruptEntryError (or rejects with it), and nothing else
 */
export function decompress(compressor: CompressorId, bytes: Buffer, rawBytes: number): Buffer | Promise<Buffer> {
  if (compressor === 'none') {
    return exactly(rawBytes, bytes);
  }
  const limits = { maxOutputLength: Math.max(rawBytes, 1) };
  if (rawBytes >= ASYNC_FROM_BYTES) {
    return gunzipAsync(bytes, limits).then((raw) => exactly(rawBytes, raw), refuse);
  }
  let raw: Buffer;
  try {
    raw = gunzipSync(bytes, limits);
  } catch {
    return refuse();
  }
  return exactly(rawBytes, raw);
}

function smaller(raw: Buffer, zipped: Buffer): CompressedBytes {
  return zipped.length <= raw.length * MAX_RATIO
    ? { compressor: 'gzip', bytes: zipped }
    : { compressor: 'none', bytes: raw };
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
