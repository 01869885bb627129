import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type { Compressor } from './compressor-contract.js';
import { lz4Compressor, snappyCompressor } from './optional-compressors.js';
import type { CompressorId } from './payload.js';

interface ZlibOptions {
  readonly maxOutputLength?: number;
  readonly chunkSize?: number;
}

/** The smallest chunk that zlib accepts. */
const SMALLEST_CHUNK_BYTES = 64;

/** The fastest levels: the default ones take three to fifty times as long on JSON, and save some 5 % more. */
const ZLIB_LEVEL = { level: 1 };
const BROTLI_LEVEL = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } };

const gzip = ofZlib(
  [zlib.gzipSync, promisify<Buffer, object, Buffer>(zlib.gzip)],
  [zlib.gunzipSync, promisify<Buffer, ZlibOptions, Buffer>(zlib.gunzip)],
  ZLIB_LEVEL,
);

/** Raw deflate, without zlib's header and checksum: the envelope has both. */
const deflate = ofZlib(
  [zlib.deflateRawSync, promisify<Buffer, object, Buffer>(zlib.deflateRaw)],
  [zlib.inflateRawSync, promisify<Buffer, ZlibOptions, Buffer>(zlib.inflateRaw)],
  ZLIB_LEVEL,
);

const brotli = ofZlib(
  [zlib.brotliCompressSync, promisify<Buffer, object, Buffer>(zlib.brotliCompress)],
  [zlib.brotliDecompressSync, promisify<Buffer, ZlibOptions, Buffer>(zlib.brotliDecompress)],
  BROTLI_LEVEL,
);

/**
 * The compressor with this id.
 * @returns `undefined` when it is not available on this machine: an old Node, or a package that is not installed
 */
export function compressorOf(id: Exclude<CompressorId, 'none'>): Compressor | undefined {
  switch (id) {
    case 'gzip':
      return gzip;
    case 'deflate':
      return deflate;
    case 'brotli':
      return brotli;
    case 'zstd':
      return zstdCompressor();
    case 'lz4':
      return lz4Compressor();
    case 'snappy':
      return snappyCompressor();
  }
}

type SyncZip = (bytes: Buffer, options: ZlibOptions) => Buffer;
type AsyncZip = (bytes: Buffer, options: ZlibOptions) => Promise<Buffer>;

function ofZlib(
  [zipSync, zip]: readonly [SyncZip, AsyncZip],
  [unzipSync, unzip]: readonly [SyncZip, AsyncZip],
  level: object,
): Compressor {
  return {
    compressSync: (raw) => zipSync(raw, { ...level, chunkSize: chunkFor(raw.length / 2) }),
    compress: (raw) => zip(raw, { ...level, chunkSize: chunkFor(raw.length / 2) }),
    decompressSync: (bytes, rawBytes) => unzipSync(bytes, limitedTo(rawBytes)),
    decompress: (bytes, rawBytes) => unzip(bytes, limitedTo(rawBytes)),
  };
}

/**
 * The limit of the output, and a chunk of one byte more than expected: a full chunk would make zlib allocate another.
 */
function limitedTo(rawBytes: number): ZlibOptions {
  return { maxOutputLength: Math.max(rawBytes, 1), chunkSize: chunkFor(rawBytes + 1) };
}

/**
 * The chunk size for an output of this size. Off the event loop each chunk costs a round trip to the thread pool, so
 * one chunk is used.
 */
function chunkFor(expectedBytes: number): number {
  return Math.max(SMALLEST_CHUNK_BYTES, Math.ceil(expectedBytes));
}

type CallbackZip = (bytes: Buffer, options: object, done: (error: Error | null, result: Buffer) => void) => void;

/** The part of `node:zlib` that older versions lack. */
interface ZstdOfZlib {
  readonly zstdCompressSync: SyncZip;
  readonly zstdDecompressSync: SyncZip;
  readonly zstdCompress: CallbackZip;
  readonly zstdDecompress: CallbackZip;
}

let zstd: Compressor | undefined;

function zstdCompressor(): Compressor | undefined {
  if (zstd === undefined && 'zstdCompress' in zlib) {
    const { zstdCompressSync, zstdCompress, zstdDecompressSync, zstdDecompress } = zlib as unknown as ZstdOfZlib;
    zstd = ofZlib([zstdCompressSync, promisify(zstdCompress)], [zstdDecompressSync, promisify(zstdDecompress)], {});
  }
  return zstd;
}
