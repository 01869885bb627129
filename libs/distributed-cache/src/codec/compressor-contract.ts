/** One compression algorithm. It does not decide whether the compression is worth its cost. */
export interface Compressor {
  compressSync(raw: Buffer): Buffer;
  compress(raw: Buffer): Promise<Buffer>;
  /** Throws on damaged input, and on more than `rawBytes` bytes of output, before it has produced many more. */
  decompressSync(bytes: Buffer, rawBytes: number): Buffer;
  decompress(bytes: Buffer, rawBytes: number): Promise<Buffer>;
}
