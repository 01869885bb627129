/** How a value was turned into text: plain JSON, devalue's notation, or the value `undefined`, which needs no text. */
export type SerializerId = 'json' | 'rich' | 'undefined';

export type CompressorId = 'none' | 'gzip' | 'deflate' | 'brotli' | 'zstd' | 'lz4' | 'snappy';

/** A value in its stored form, with what is needed to read it back. */
export interface EncodedPayload {
  readonly serializer: SerializerId;
  readonly compressor: CompressorId;
  /** Size of the serialized form before compression, in bytes: the most that decompression may ever produce. */
  readonly rawBytes: number;
  /**
   * The stored bytes. Before an uncompressed payload is written it is text, which becomes bytes when the envelope is
   * written. Read-only by agreement.
   */
  readonly bytes: Buffer | string;
}

/** A payload that was read: `bytes` is a view of the whole entry, not a copy. */
export interface StoredPayload extends EncodedPayload {
  readonly bytes: Buffer;
}
