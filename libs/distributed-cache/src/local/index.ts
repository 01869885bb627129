export { CoarseClock, SuspendWatch, systemClock, type Clock } from './clock.js';
export { EntryStore } from './entry-store.js';
export { LocalCache, type LocalCacheOptions, Partition } from './local-cache.js';
export {
  DeferredJson,
  type LocalEntry,
  type TagVersion,
  type LocalPutOptions,
  type TagScope,
  type LocalSetOptions,
  readStored,
  type StoredValue,
  storeValue,
  type ValueOrigin,
  type ValuesMode,
} from './stored-value.js';
