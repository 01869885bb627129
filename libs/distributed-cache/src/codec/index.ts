export { type CompressedBytes, compressorOf } from './compressors.js';
export { type Dictionaries, Dictionary, dictionaryOf, MAX_DICTIONARY_BYTES, trainDictionary } from './dictionary.js';
export { EntryCodec, type SealedEntry } from './entry-codec.js';
export {
  type CompressorId,
  type EncodedPayload,
  ENVELOPE_VERSION,
  type EnvelopeHead,
  type EntryHeader,
  HEAD_BYTES,
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
  type Decoded,
  deserialize,
  type Encoding,
  serialize,
  ValueCodec,
  type ValueCodecOptions,
} from './value-codec.js';
