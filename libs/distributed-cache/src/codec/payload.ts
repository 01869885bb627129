/** How a value became text: plain JSON, devalue's notation, or the value `undefined`, which needs no text at all. */
export type SerializerId = 'json' | 'rich' | 'undefined';

export type CompressorId = 'none' | 'gzip' | 'deflate' | 'brotli' | 'zstd' | 'lz4' | 'snappy';

/** A value as it is stored, with what is needed to read it back. */
export interface EncodedPayload {
  readonly serializer: SerializerId;
  readonly compressor: CompressorId;
  /** Size of the serialized form before compression: the most that decompression may ever produce. */
  readonly rawBytes: number;
  /** Text on its way out, if it is not compressed: it becomes bytes where the envelope is written. Read-only by agreement. */
  readonly bytes: Buffer | string;
}

/** A payload as it was read: `bytes` is a view of the whole entry, not a copy. */
export interface StoredPayload extends EncodedPayload {
  readonly bytes: Buffer;
}
