export { ENVELOPE_MAGIC, type EntryHeader, readEnvelope, writeEnvelope } from './envelope.js';
export type { CompressorId, EncodedPayload, SerializerId } from './payload.js';
export { type SerializedValue, deserialize, serialize } from './serializer.js';
export type { Stamp } from './stamps.js';
export { type Decoded, type EncodedValue, ValueCodec, type ValueCodecOptions } from './value-codec.js';
export { type Inspection, MAX_DEPTH, inspectValue } from './value-inspector.js';
