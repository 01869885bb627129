export { compressorOf } from './compressors.js';
export { EntryCodec, type SealedEntry } from './entry-codec.js';
export {
  type CompressorId,
  type EncodedPayload,
  type EntryHead,
  type EntryHeader,
  isEnvelope,
  readEnvelope,
  readHead,
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
  ValueCodec,
  type ValueCodecOptions,
} from './value-codec.js';
