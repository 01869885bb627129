export { encodeArguments } from './arguments.js';
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
  sidecarKeyOf,
  type FormerNames,
  formerNamesOf,
  isBesideValue,
  isValidName,
  keyLayout,
  type KeyLayout,
} from './key-layout.js';
export { keySlot, SLOT_COUNT } from './key-slot.js';
export {
  type CacheDimensions,
  type DimensionValue,
  dimensionsSuffix,
  isDimensionName,
  isDimensionValue,
  versionSuffix,
} from './key-variation.js';
export { describeKey, MethodKeys, methodKey } from './method-key.js';
