export { systemClock, type Clock } from './clock.js';
export {
  LocalCache,
  type LocalCacheOptions,
  type LocalEntry,
  type LocalMark,
  type LocalPutOptions,
  type LocalScope,
  type LocalSetOptions,
} from './local-cache.js';
export { readStored, storeValue, type StoredValue, type ValuesMode } from './stored-value.js';
export { copyValue, type CopyInstance } from './copy-value.js';
