export { CoarseClock, SuspendWatch, systemClock, type Clock } from './clock.js';
export { EntryStore, readingOf, type Reading, type TopEntry, type TopOrder } from './entry-store.js';
export { LocalCache, type LocalCacheOptions, Partition } from './local-cache.js';
export {
  asItIs,
  DeferredJson,
  isCopied,
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
