export { encodeArguments } from './argument-encoding.js';
export { describeKey } from './key-description.js';
export { encodeKey, isPlainKey, MAX_KEY_BYTES, prepareKey } from './key-encoding.js';
export { CacheKeyError } from './key-error.js';
export { type FormerNames, formerNamesOf } from './former-names.js';
export { companionKeyOf, isBesideValue, isValidName, keyLayout, type KeyLayout } from './key-layout.js';
export { keySlot, SLOT_COUNT } from './key-slot.js';
export {
  type CacheDimensions,
  type DimensionValue,
  dimensionsSuffix,
  isDimensionName,
  isDimensionValue,
  versionSuffix,
} from './key-variation.js';
export { MethodKeys, methodKey } from './method-key.js';
export { type CacheKey, PreparedKey } from './prepared-key.js';
