export { EntryCodec, type EntryCodecOptions, type SealedEntry } from './entry-codec.js';
export { ENVELOPE_MAGIC, type EntryHeader, isEnvelope, readEnvelope, writeEnvelope } from './envelope.js';
export type { CompressorId, EncodedPayload, SerializerId } from './payload.js';
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
