export { compressorOf } from './compressors.js';
export { EntryCodec, type EntryCodecOptions, type SealedEntry } from './entry-codec.js';
export {
  type CompressorId,
  type EncodedPayload,
  type EntryHeader,
  ENVELOPE_MAGIC,
  isEnvelope,
  readEnvelope,
  type SerializerId,
  writeEnvelope,
} from './envelope.js';
export type { KeyRing } from './payload-cipher.js';
export { type SerializedValue, deserialize, serialize } from './serializer.js';
export { stampNamed, type Stamp } from './stamps.js';
export {
  asDecoded,
  type BegunEncoding,
  type Decoded,
  type EncodedValue,
  ValueCodec,
  type ValueCodecOptions,
} from './value-codec.js';
