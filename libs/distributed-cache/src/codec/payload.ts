/** How a value became text: plain JSON, devalue's notation, or the value `undefined`, which needs no text at all. */
export type SerializerId = 'json' | 'rich' | 'undefined';

export type CompressorId = 'none' | 'gzip' | 'deflate' | 'brotli' | 'zstd' | 'lz4' | 'snappy';

/** A value as bytes, with what is needed to read it back. */
export interface EncodedPayload {
  readonly serializer: SerializerId;
  readonly compressor: CompressorId;
  /** Size of the serialized form before compression: the most that decompression may ever produce. */
  readonly rawBytes: number;
  /** Read-only by agreement: after `readEnvelope` it is a view of the whole entry, not a copy. */
  readonly bytes: Buffer;
}
