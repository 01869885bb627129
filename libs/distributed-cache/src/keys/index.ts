export { encodeArguments } from './argument-encoding.js';
export { describeKey } from './key-description.js';
export { encodeKey, MAX_KEY_BYTES } from './key-encoding.js';
export { CacheKeyError } from './key-error.js';
export { companionKeyOf, isValidName, keyLayout, type KeyLayout } from './key-layout.js';
export { methodKey } from './method-key.js';
