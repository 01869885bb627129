export { encodeArguments } from './arguments.js';
export { decodeArguments, decodeKey, type DecodedKey } from './decode-call.js';
export {
  type CacheKey,
  CacheKeyError,
  encodeKey,
  isPlainKey,
  MAX_KEY_BYTES,
  prepareKey,
  PreparedKey,
} from './key-encoding.js';
export {
  CLEAR,
  endedKeyOf,
  entryKeysOf,
  type EntryKeys,
  isValidName,
  keyChangeOf,
  keyLayout,
  type KeyLayout,
  keySlot,
  sidecarKeyOf,
  SLOT_COUNT,
  TAG_STAMP,
} from './key-layout.js';
export {
  type CacheDimensions,
  type DimensionValue,
  dimensionsSuffix,
  instanceSuffix,
  isDimensionName,
  isDimensionValue,
  versionSuffix,
  describeKey,
  MethodKeys,
  methodKey,
  methodOfKey,
} from './method-key.js';
