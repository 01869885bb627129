/**
 * A compressor of an optional package, loaded at its first use. Both packages write the raw size before their bytes,
 * and both would allocate as much memory as it says: it is compared with the declared size in the envelope first.
 */
import { createRequire } from 'node:module';
import type { Compressor } from './compressor-contract.js';

interface BlockCompressor {
  compressSync(raw: Buffer): Buffer;
  compress(raw: Buffer): Promise<Buffer>;
  uncompressSync(bytes: Buffer): Buffer;
  uncompress(bytes: Buffer): Promise<Buffer>;
}

const METHODS = ['compressSync', 'compress', 'uncompressSync', 'uncompress'] as const;
const known = new Map<string, Compressor | undefined>();

export function lz4Compressor(): Compressor | undefined {
  return load('lz4-napi', (bytes) => (bytes.length < 4 ? -1 : bytes.readUInt32LE(0)));
}

export function snappyCompressor(): Compressor | undefined {
  return load('snappy', readVarint);
}

function load(name: string, declaredBytes: (bytes: Buffer) => number): Compressor | undefined {
  if (!known.has(name)) {
    const library = requireOptional(name);
    known.set(name, isBlockCompressor(library) ? guarded(library, declaredBytes) : undefined);
  }
  return known.get(name);
}

function requireOptional(name: string): unknown {
  try {
    return createRequire(import.meta.url)(name);
  } catch {
    return undefined;
  }
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
