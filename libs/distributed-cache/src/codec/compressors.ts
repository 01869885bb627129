import nodeModule from 'node:module';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { CorruptEntryError } from '../errors/index.js';
import type { CompressorId } from './envelope.js';

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

/**
 * Compresses the bytes, or leaves them as they are when that saves too little or is not possible here. Never fails.
 * @param compressor the one with this id, which for `dictionary` only the caller knows
 */
export function compress(
  id: CompressorId,
  raw: Buffer,
  compressor = compressorOf(id),
): CompressedBytes | Promise<CompressedBytes> {
  const uncompressed: CompressedBytes = { compressor: 'none', bytes: raw };
  if (compressor === undefined) {
    return uncompressed;
  }
  const smaller = (bytes: Buffer): CompressedBytes =>
    bytes.length <= raw.length * MAX_RATIO ? { compressor: id, bytes } : uncompressed;
  if (raw.length >= COMPRESS_ASYNC_FROM_BYTES) {
    // It fails when memory is short. The value can still be stored without compression.
    return compressor.compress(raw).then(smaller, () => uncompressed);
  }
  try {
    return smaller(compressor.compressSync(raw));
  } catch {
    return uncompressed;
  }
}

/**
 * Decompresses the output of `compress`. It never produces more than `rawBytes`, so a decompression bomb stops at the
 * size that its header declares; the caller has checked that `rawBytes` itself is acceptable.
 * @param compressor as in {@link compress}
 * @throws CorruptEntryError (or rejects with it), and nothing else
 */
export function decompress(
  id: CompressorId,
  bytes: Buffer,
  rawBytes: number,
  compressor = compressorOf(id),
): Buffer | Promise<Buffer> {
  if (id === 'none') {
    return exactly(rawBytes, bytes);
  }
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

/** One compression algorithm. It does not decide whether the compression is worth its cost. */
export interface Compressor {
  compressSync(raw: Buffer): Buffer;
  compress(raw: Buffer): Promise<Buffer>;
  /** Throws on damaged input, and on more than `rawBytes` bytes of output, before it has produced many more. */
  decompressSync(bytes: Buffer, rawBytes: number): Buffer;
  decompress(bytes: Buffer, rawBytes: number): Promise<Buffer>;
}

interface ZlibOptions {
  readonly maxOutputLength?: number;
  readonly chunkSize?: number;
}

/** The smallest chunk that zlib accepts. */
const SMALLEST_CHUNK_BYTES = 64;

/** The fastest levels: the default ones take three to fifty times as long on JSON, and save some 5 % more. */
const BROTLI_LEVEL = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } };

/** zlib finds no match that is as far away as its whole window: it keeps this many bytes of it free. */
const ZLIB_RESERVE_BYTES = 262;

/**
 * The fastest level, and a window that is no larger than the value. zlib prepares its whole window for each value: at 1 KB
 * the default of 32 KB costs a sixth of the time. What was written with a smaller window is read with the default one.
 */
function zlibLevel(rawBytes: number): object {
  const windowBits = Math.ceil(Math.log2(rawBytes + ZLIB_RESERVE_BYTES));
  return { level: 1, windowBits: Math.min(Math.max(windowBits, 9), 15) };
}

const gzip = ofZlib(
  [zlib.gzipSync, promisify<Buffer, object, Buffer>(zlib.gzip)],
  [zlib.gunzipSync, promisify<Buffer, ZlibOptions, Buffer>(zlib.gunzip)],
  zlibLevel,
);

/** Raw deflate, without zlib's header and checksum: the envelope has both. */
const deflate = ofZlib(
  [zlib.deflateRawSync, promisify<Buffer, object, Buffer>(zlib.deflateRaw)],
  [zlib.inflateRawSync, promisify<Buffer, ZlibOptions, Buffer>(zlib.inflateRaw)],
  zlibLevel,
);

const brotli = ofZlib(
  [zlib.brotliCompressSync, promisify<Buffer, object, Buffer>(zlib.brotliCompress)],
  [zlib.brotliDecompressSync, promisify<Buffer, ZlibOptions, Buffer>(zlib.brotliDecompress)],
  () => BROTLI_LEVEL,
);

/** Below this size a dictionary takes more time than the value: a better level then costs nothing. */
const BETTER_LEVEL_BELOW_BYTES = 1024;

/** Raw deflate whose values may refer to what stands in a dictionary. */
export function deflateWith(dictionary: Buffer): Compressor {
  return ofZlib(
    [zlib.deflateRawSync, promisify<Buffer, object, Buffer>(zlib.deflateRaw)],
    [zlib.inflateRawSync, promisify<Buffer, ZlibOptions, Buffer>(zlib.inflateRaw)],
    (rawBytes) => {
      const level = rawBytes < BETTER_LEVEL_BELOW_BYTES ? 6 : 2;
      return { ...zlibLevel(rawBytes + dictionary.length), level, dictionary };
    },
    { dictionary },
  );
}

const zstd = zstdCompressor();

const lz4 = once(() => blockCompressor('lz4-napi', (bytes) => (bytes.length < 4 ? -1 : bytes.readUInt32LE(0))));

const snappy = once(() => blockCompressor('snappy', readVarint));

/**
 * The compressor with this id.
 * @returns `undefined` when it is not available on this machine: an old Node, or a package that is not installed; and
 * for `none` and `dictionary`, which are no codecs
 */
export function compressorOf(id: CompressorId): Compressor | undefined {
  switch (id) {
    case 'none':
    case 'dictionary':
      return undefined;
    case 'gzip':
      return gzip;
    case 'deflate':
      return deflate;
    case 'brotli':
      return brotli;
    case 'zstd':
      return zstd;
    case 'lz4':
      return lz4();
    case 'snappy':
      return snappy();
  }
}

type SyncZip = (bytes: Buffer, options: ZlibOptions) => Buffer;
type AsyncZip = (bytes: Buffer, options: ZlibOptions) => Promise<Buffer>;

function ofZlib(
  [zipSync, zip]: readonly [SyncZip, AsyncZip],
  [unzipSync, unzip]: readonly [SyncZip, AsyncZip],
  levelFor: (rawBytes: number) => object,
  forReading: object = {},
): Compressor {
  const limits = (rawBytes: number): ZlibOptions => ({ ...limitedTo(rawBytes), ...forReading });
  return {
    compressSync: (raw) => zipSync(raw, { ...levelFor(raw.length), chunkSize: chunkFor(raw.length / 2) }),
    compress: (raw) => zip(raw, { ...levelFor(raw.length), chunkSize: chunkFor(raw.length / 2) }),
    decompressSync: (bytes, rawBytes) => unzipSync(bytes, limits(rawBytes)),
    decompress: (bytes, rawBytes) => unzip(bytes, limits(rawBytes)),
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

function zstdCompressor(): Compressor | undefined {
  if (!('zstdCompress' in zlib)) {
    return undefined;
  }
  const { zstdCompressSync, zstdCompress, zstdDecompressSync, zstdDecompress } = zlib as unknown as ZstdOfZlib;
  return ofZlib(
    [zstdCompressSync, promisify(zstdCompress)],
    [zstdDecompressSync, promisify(zstdDecompress)],
    () => ({}),
  );
}

/**
 * A compressor of an optional package. Both packages write the raw size before their bytes, and both would allocate as
 * much memory as it says: it is compared with the declared size in the envelope first.
 */
interface BlockCompressor {
  compressSync(raw: Buffer): Buffer;
  compress(raw: Buffer): Promise<Buffer>;
  uncompressSync(bytes: Buffer): Buffer;
  uncompress(bytes: Buffer): Promise<Buffer>;
}

const METHODS = ['compressSync', 'compress', 'uncompressSync', 'uncompress'] as const;

function blockCompressor(name: string, declaredBytes: (bytes: Buffer) => number): Compressor | undefined {
  const library = requireOptional(name);
  return isBlockCompressor(library) ? guarded(library, declaredBytes) : undefined;
}

/** Calls `make` at the first use, and returns the same result from then on. */
function once<Result>(make: () => Result): () => Result {
  let made: { readonly result: Result } | undefined;
  return () => (made ??= { result: make() }).result;
}

/**
 * Loads an optional package from the place of this file. In a bundled application that place does not exist, so the
 * place of the program is tried, too. The default import keeps webpack from resolving the call while it bundles.
 */
function requireOptional(name: string): unknown {
  for (const place of [import.meta.url, process.argv[1]]) {
    try {
      return nodeModule.createRequire(place ?? '')(name);
    } catch {
      // It is not installed there, or it does not support this machine.
    }
  }
  return undefined;
}

function isBlockCompressor(library: unknown): library is BlockCompressor {
  return (
    typeof library === 'object' &&
    library !== null &&
    METHODS.every((method) => typeof Reflect.get(library, method) === 'function')
  );
}

function guarded(library: BlockCompressor, declaredBytes: (bytes: Buffer) => number): Compressor {
  const check = (bytes: Buffer, rawBytes: number) => {
    if (declaredBytes(bytes) !== rawBytes) {
      throw new RangeError('It declares another size than its envelope');
    }
  };
  return {
    compressSync: (raw) => library.compressSync(raw),
    compress: (raw) => library.compress(raw),
    decompressSync(bytes, rawBytes) {
      check(bytes, rawBytes);
      return library.uncompressSync(bytes);
    },
    async decompress(bytes, rawBytes) {
      check(bytes, rawBytes);
      return library.uncompress(bytes);
    },
  };
}

/** Reads the size at the start of a snappy block: seven bits per byte, the lowest first; -1 when there is none. */
function readVarint(bytes: Buffer): number {
  let value = 0;
  for (let index = 0; index < Math.min(bytes.length, 5); index++) {
    const byte = bytes.readUInt8(index);
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) {
      return value;
    }
  }
  return -1;
}
