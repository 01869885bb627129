export { EntryCodec, type EntryCodecOptions, type SealedEntry } from './entry-codec.js';
export {
  type CompressorId,
  type EncodedPayload,
  type EntryHeader,
  ENVELOPE_MAGIC,
  isEnvelope,
  readEnvelope,
  type SerializerId,
  type Stamp,
  stampNamed,
  writeEnvelope,
} from './envelope.js';
export type { KeyRing } from './payload-cipher.js';
export {
  asDecoded,
  type BegunEncoding,
  type Decoded,
  deserialize,
  type EncodedValue,
  serialize,
  type SerializedValue,
  ValueCodec,
  type ValueCodecOptions,
} from './value-codec.js';
