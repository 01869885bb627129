export { compressorOf } from './compressors.js';
export { EntryCodec, type SealedEntry } from './entry-codec.js';
export {
  type CompressorId,
  type EncodedPayload,
  ENVELOPE_VERSION,
  type EnvelopeHead,
  type EntryHeader,
  isEnvelope,
  peekEnvelope,
  readEnvelope,
  type SerializerId,
  type Stamp,
  stampNamed,
  writeEnvelope,
} from './envelope.js';
export type { KeyRing } from './payload-cipher.js';
export {
  asDecoded,
  type Decoded,
  deserialize,
  type Encoding,
  serialize,
  ValueCodec,
  type ValueCodecOptions,
} from './value-codec.js';
