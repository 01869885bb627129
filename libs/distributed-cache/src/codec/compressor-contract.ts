/** One way to compress. Nothing here decides whether it is worth it. */
export interface Compressor {
  compressSync(raw: Buffer): Buffer;
  compress(raw: Buffer): Promise<Buffer>;
  /** Throws on damaged input and on more than `rawBytes` bytes of output, before it has made many more. */
  decompressSync(bytes: Buffer, rawBytes: number): Buffer;
  decompress(bytes: Buffer, rawBytes: number): Promise<Buffer>;
}
